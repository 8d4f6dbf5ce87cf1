package main

import (
	"testing"
	"time"
)

// Keys of a team share its limit over all gateways, and what is done to the team on one holds on the others within a second.
func TestFleetSharesATeamsLimitAndItsChanges(t *testing.T) {
	f := newFleet(t, nil)
	f.store = "timeout 5s\non_error deny" // so that Redis decides on every call
	members := f.joinMany(2)
	here, there := members[0], members[1]
	a, b := here.inTeam("red"), here.inTeam("red")
	for _, key := range []string{a.Key, b.Key} {
		within(t, time.Second+busy, "the key to be known", func() bool { return there.status(key) == 200 })
	}
	here.manageTeam("POST", "", `{"name":"red","limits":["70/1h"]}`)
	made := within(t, time.Second+busy, "the team's limit to hold", func() bool {
		return there.do("GET", "/v1/models", a.Key, "").Header.Get("X-RateLimit-Limit") == "70"
	})
	// The call that showed it was the first of seventy.
	if got := tally(members, []string{a.Key, b.Key}, 200); got[200] != 69 || got[429] != 131 {
		t.Errorf("200 calls at what is left of a limit of 70 gave %v", got)
	}

	status := func(want int) func() bool { return func() bool { return there.status(b.Key) == want } }
	here.manageTeam("PATCH", "red", `{"limits":["1000/1h"]}`)
	raised := within(t, time.Second+busy, "the new limit to hold", status(200))
	here.manageTeam("PATCH", "red", `{"active":false}`)
	ended := within(t, time.Second+busy, "the team's key to be refused", status(401))
	here.manageTeam("PATCH", "red", `{"active":true,"limits":[]}`)
	back := within(t, time.Second+busy, "the team's key to work again", status(200))
	t.Logf("seen by the other gateway: the team after %s, a higher limit after %s, inactive after %s, active after %s", made, raised, ended, back)
}
