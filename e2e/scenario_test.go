package e2e

import (
	"testing"

	"github.com/hacluster/hacluster/e2e/scenario"
)

// Each row of the table of faults, once for each policy that it promises
// something of; those of minutes are left to make proof.
func TestScenario(t *testing.T) {
	for _, row := range scenario.All() {
		for _, policy := range scenario.Policies() {
			if _, promised := row.Promise[policy]; !promised || row.Long {
				continue
			}
			t.Run(row.String()+"/"+string(policy), func(t *testing.T) {
				t.Parallel()
				t.Logf("%+v", scenario.Run(t, row, policy))
			})
		}
	}
}
