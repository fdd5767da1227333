package vrrp

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/hacluster/hacluster/vrrp/packet"
)

// checkSpecs refuses what an engine cannot run as a whole. That each spec is
// in range is its author's business.
func checkSpecs(specs []UnitSpec) error {
	var errs []error
	units := make(map[string]bool)
	owner := make(map[string]string)
	for _, s := range specs {
		if units[s.Name] {
			errs = append(errs, fmt.Errorf("vrrp unit %s is listed twice", s.Name))
		}
		units[s.Name] = true
		if len(s.Instances) == 0 {
			errs = append(errs, fmt.Errorf("vrrp unit %s has no instance", s.Name))
		}
		for _, i := range s.Instances {
			if other, ok := owner[i.Name]; ok {
				errs = append(errs, fmt.Errorf("vrrp instance %s is in unit %s and in unit %s", i.Name, other, s.Name))
			}
			owner[i.Name] = s.Name
			if i.AdvertInterval <= 0 {
				errs = append(errs, fmt.Errorf("vrrp instance %s: advertisement interval %v is out of range; use 10ms to 255s", i.Name, i.AdvertInterval))
			}
		}
	}
	return errors.Join(errs...)
}

// apply makes the units be those of specs. Units end before others begin: an
// address that changes its unit is dropped first.
func (l *loop) apply(specs []UnitSpec, opts ApplyOptions) {
	present := l.byName
	kept := make(map[string]bool, len(specs))
	for _, spec := range specs {
		if u := present[spec.Name]; u != nil && changeable(&u.spec, &spec) {
			kept[spec.Name] = true
		}
	}
	for _, u := range l.units {
		if !kept[u.spec.Name] {
			l.end(u)
		}
	}
	l.settle() // the goodbyes need the sockets, and the others need the addresses

	var begun []*unitShell
	l.units = make([]*unitShell, 0, len(specs))
	l.byName = make(map[string]*unitShell, len(specs))
	for _, spec := range specs {
		u := present[spec.Name]
		switch {
		case !kept[spec.Name]:
			u = newUnitShell(spec)
			l.setSpec(u, spec)
			begun = append(begun, u)
		case !reflect.DeepEqual(u.spec, spec):
			l.respec(u, spec)
		}
		u.order = len(l.units)
		u.machine.Stagger(u.order)
		l.units = append(l.units, u)
		l.byName[spec.Name] = u
	}
	l.dirty = true // the list itself may have changed
	l.listVirtual()
	l.connect()
	for _, u := range begun {
		l.begin(u, opts)
	}
}

// changeable says whether a running unit can take over spec in place: what
// peers know it by stays the same.
func changeable(old, spec *UnitSpec) bool {
	return old.Group == spec.Group && slices.EqualFunc(old.Instances, spec.Instances, func(a, b InstanceSpec) bool {
		return a.Name == b.Name && a.Interface == b.Interface && a.Family == b.Family && a.VRID == b.VRID &&
			a.Wire.Unicast == b.Wire.Unicast && a.group() == b.group() &&
			(!a.Wire.Unicast || a.Wire.Source == b.Wire.Source)
	})
}

func newUnitShell(spec UnitSpec) *unitShell {
	u := &unitShell{machine: NewUnit(spec), slot: -1, dirty: true}
	for range spec.Instances {
		u.instances = append(u.instances, &instanceShell{unit: u})
	}
	return u
}

// setSpec makes u and its instances refer to spec, and forget what was made
// from the one before.
func (l *loop) setSpec(u *unitShell, spec UnitSpec) {
	u.spec = spec
	l.setGate(u)
	u.tracks = make(map[string]bool)
	for n, i := range u.instances {
		// A dialect that was learned outlives what has nothing to do with it.
		if i.spec == nil || i.spec.Wire.Checksum != spec.Instances[n].Wire.Checksum {
			i.dialect = spec.Instances[n].Wire.Checksum
		}
		if spec.Instances[n].Version != 3 || spec.Instances[n].Family != IPv4 {
			i.dialect = packet.ChecksumPseudo
		}
		i.spec = &u.spec.Instances[n]
		i.out = outgoing{}
		i.event = nil
		i.receiver.reset(i.spec, i.source)
		for _, t := range i.spec.Watches() {
			u.tracks[t.Key] = true
		}
		if n == 0 || i.spec.AdvertInterval < u.shortest {
			u.shortest = i.spec.AdvertInterval
		}
	}
}

// begin tells a new unit what is known already, and wakes it.
func (l *loop) begin(u *unitShell, opts ApplyOptions) {
	l.tellLinks(u)
	l.step(u, Startup{Delay: opts.StartupDelay, Heritage: opts.Heritage[u.spec.Name], Recovered: opts.Recovered})
}

func (l *loop) tellLinks(u *unitShell) {
	for _, link := range l.links {
		l.step(u, linkResult(link))
	}
}

// respec changes a unit in place. The unit claims what it gains; what it loses
// goes here, and what stays is not touched.
func (l *loop) respec(u *unitShell, spec UnitSpec) {
	old, lifetime := u.spec, l.lifetime(u)
	l.setSpec(u, spec)
	for n, i := range u.instances {
		if i.claimed {
			was := &old.Instances[n]
			l.release(i.spec.Name, without(was.held(), i.spec.held()), without(was.Routes, i.spec.Routes))
		}
	}
	l.changePolicy(u, &old)
	l.reguard(u)
	l.relive(u, lifetime)
	l.step(u, Respec{Spec: spec})
	for _, i := range u.instances {
		l.testifyAgain(i)
	}
	l.tellLinks(u) // it may track other interfaces than before
}

// without is what is in a and not in b.
func without[T comparable](a, b []T) []T {
	var rest []T
	for _, x := range a {
		if !slices.Contains(b, x) {
			rest = append(rest, x)
		}
	}
	return rest
}

// end lets a unit say goodbye.
func (l *loop) end(u *unitShell) {
	l.step(u, Shutdown{Reason: "removed from the configuration"})
	u.ended = true
	l.schedule.remove(u)
}
