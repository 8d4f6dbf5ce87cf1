package gemini

import "strconv"

// openCalls are the calls of tools that have no result yet, for clients that give them no ids.
type openCalls struct {
	byName   map[string][]string // ids, oldest first
	answered map[string]bool
	made     int // ids that were made up
}

// add takes a call and gives its id.
func (o *openCalls) add(id, name string) string {
	if id == "" {
		id = o.make()
	}
	if o.byName == nil {
		o.byName, o.answered = map[string][]string{}, map[string]bool{}
	}
	o.byName[name] = append(o.byName[name], id)
	return id
}

// answer gives the id of the call that a result is for: its own, else that of the first call of its name that has
// no result.
func (o *openCalls) answer(id, name string) string {
	if id != "" {
		if o.answered != nil {
			o.answered[id] = true
		}
		return id
	}
	for ids := o.byName[name]; len(ids) > 0; ids = o.byName[name] {
		if o.byName[name] = ids[1:]; !o.answered[ids[0]] {
			return ids[0]
		}
	}
	return o.make()
}

func (o *openCalls) make() string {
	o.made++
	return "gemini_call_" + strconv.Itoa(o.made)
}
