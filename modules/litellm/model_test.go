package litellm

import "testing"

func TestWeightsAreLiteLLMsShares(t *testing.T) {
	for _, tt := range []struct {
		targets []target
		want    []int
	}{
		{[]target{{}, {}}, []int{1, 1}},
		{[]target{{weight: 9}, {weight: 3}}, []int{3, 1}},
		{[]target{{weight: 9}, {}}, []int{1, 1}}, // LiteLLM wants one of each
		{[]target{{rpm: 600, tpm: 1}, {rpm: 200, tpm: 1}}, []int{3, 1}},
		{[]target{{rpm: 600, tpm: 1}, {tpm: 2}}, []int{1, 2}},
		{[]target{{weight: 5, rpm: 1}, {weight: 10, rpm: 1}}, []int{1, 2}},
		{[]target{{tpm: 1_000_000_000}, {tpm: 7}}, []int{999_000, 1}},
	} {
		m := &model{name: "m", targets: tt.targets}
		new(importer).weigh(m)
		for i, got := range m.targets {
			if got.weight != tt.want[i] {
				t.Errorf("%+v: target %d has the weight %d, want %d", tt.targets, i, got.weight, tt.want[i])
			}
		}
	}
}
