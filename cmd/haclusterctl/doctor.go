package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Test the networks and machines of the cluster, and say what to do",
		Long: `Doctor lets all nodes test the networks of the virtual addresses at the same
time: IP protocol 112 by multicast and unicast both ways, heartbeats and gossip
by UDP, the API by TCP, virtual routers and addresses that others use, clocks,
the kernel gate, scheduling, and programs that manage the same interfaces.

It takes three seconds and changes nothing: the test datagrams are of a type that
no router takes for an advert, and ARP is asked without a sender address.

Exit status: 0 nothing is wrong, 1 a warning or an error was found.`,
		Example: example("haclusterctl doctor", "haclusterctl doctor -o json | jq '.findings[] | select(.severity == \"ERROR\")'"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				e, err := pb.NewDoctorServiceClient(conn).Examine(ctx, &pb.ExamineRequest{})
				if err != nil {
					return err
				}
				if a.json() {
					err = a.printJSON(e)
				} else {
					a.printDiagnoses(e.GetFindings())
				}
				if err == nil && e.GetWorst() >= pb.Diagnosis_SEVERITY_WARNING {
					err = &exitError{code: exitRefused}
				}
				return err
			})
		},
	}
	a.readFlags(cmd)
	return cmd
}

func (a *app) printDiagnoses(found []*pb.Diagnosis) {
	for _, d := range found {
		style, name := green, "ok"
		switch d.GetSeverity() {
		case pb.Diagnosis_SEVERITY_NOTE:
			style, name = dim, "note"
		case pb.Diagnosis_SEVERITY_WARNING:
			style, name = yellow, "warning"
		case pb.Diagnosis_SEVERITY_ERROR:
			style, name = red, "error"
		}
		const indent = "         "
		put := func(first, text string) {
			a.printf("%s%s\n", first, strings.Join(wrap(text, a.width, len(indent)), "\n"+indent))
		}
		put(a.style(style, name)+indent[len(name):], d.GetCheck()+": "+d.GetSummary())
		for _, line := range d.GetEvidence() {
			put(indent, line)
		}
		if d.GetRemedy() != "" {
			put(indent, "→ "+d.GetRemedy())
		}
	}
}
