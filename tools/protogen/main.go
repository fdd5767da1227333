package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("protogen: ")
	root := flag.String("root", "../proto", "directory that import paths of .proto files start from")
	out := flag.String("out", "", "directory to write below; default: -root")
	flag.Parse()
	if *out == "" {
		*out = *root
	}
	if err := generate(context.Background(), *root, *out); err != nil {
		log.Fatal(err)
	}
}

func generate(ctx context.Context, root, out string) error {
	sources, err := filepath.Glob(filepath.Join(root, "hacluster", "v1", "*.proto"))
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return fmt.Errorf("no .proto files below %s", root)
	}
	req := &pluginpb.CodeGeneratorRequest{Parameter: proto.String("paths=source_relative")}
	for _, path := range sources {
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		req.FileToGenerate = append(req.FileToGenerate, filepath.ToSlash(name))
	}

	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{root}}),
		SourceInfoMode: protocompile.SourceInfoStandard, // comments become Go documentation
	}
	files, err := compiler.Compile(ctx, req.FileToGenerate...)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, file := range files {
		req.ProtoFile = appendWithImports(req.ProtoFile, seen, file)
	}
	for _, plugin := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		if err := runPlugin(ctx, plugin, req, out); err != nil {
			return err
		}
	}
	return nil
}

// appendWithImports appends file after everything that it imports, which is
// the order that plugins require.
func appendWithImports(list []*descriptorpb.FileDescriptorProto, seen map[string]bool, file protoreflect.FileDescriptor) []*descriptorpb.FileDescriptorProto {
	if seen[file.Path()] {
		return list
	}
	seen[file.Path()] = true
	imports := file.Imports()
	for i := range imports.Len() {
		list = appendWithImports(list, seen, imports.Get(i).FileDescriptor)
	}
	return append(list, protodesc.ToFileDescriptorProto(file))
}

func runPlugin(ctx context.Context, plugin string, req *pluginpb.CodeGeneratorRequest, out string) error {
	in, err := proto.Marshal(req)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "tool", plugin)
	cmd.Stdin = bytes.NewReader(in)
	cmd.Stderr = os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", plugin, err)
	}
	var resp pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(answer, &resp); err != nil {
		return fmt.Errorf("%s: answer: %w", plugin, err)
	}
	if resp.Error != nil {
		return fmt.Errorf("%s: %s", plugin, resp.GetError())
	}
	for _, file := range resp.File {
		path := filepath.Join(out, filepath.FromSlash(file.GetName()))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(file.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
