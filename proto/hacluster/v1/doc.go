// Package haclusterv1 is the programming interface of haclusterd: gRPC
// services on the unix socket of each node, and, between members, on the
// cluster's TLS port.
//
// Everything in it but this file and its tests is generated from the .proto
// files beside it by `make generate`. Field comments there are the reference
// of the API and of `haclusterctl -o json`, which prints these messages with
// the names of the .proto files, numbers as numbers, times as RFC 3339 in UTC
// with milliseconds, durations as seconds, and enum values without their
// prefix.
//
// A refused or failed call carries an ErrorDetail in the details of its
// status.
package haclusterv1

//go:generate go run -C ../../../tools ./protogen
