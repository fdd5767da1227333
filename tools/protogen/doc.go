// Command protogen generates the Go code of proto/hacluster/v1 beside its
// sources. It compiles them with protocompile and pipes a CodeGeneratorRequest
// to protoc-gen-go and protoc-gen-go-grpc at the versions that tools/go.mod
// pins, so no protoc binary and nothing from outside the module cache is used.
//
// `go generate ./proto/...` runs it, which is, from the root of the repository:
//
//	go run -C tools ./protogen
//
// A test in proto/hacluster/v1 regenerates into a temporary directory (-out)
// and compares, so a forgotten run does not pass.
package main
