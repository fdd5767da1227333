// Command proof repeats the core scenarios of e2e/scenario for each policy, puts
// keepalived under the same faults in the same run, and writes the table of
// what was measured.
//
//	proof [-runs N] [-parallel N] [-only REGEXP] [-endurance=false] [-out FILE]
package main
