package cache
import ("testing";"fmt";"strings")
func TestDbg(t *testing.T){
 c:=newCache(t,`{}`)
 for _,b:=range []string{prompt,strings.Replace(prompt, "ping", "pong", 1)} {
  cl:=newClient(t,c,alice,b)
  fmt.Println(cl.call.Parse(cl.request), cl.call.Resolve(), string(cl.call.Body()), cl.call.Surface.Name)
  k,ok:=c.key(cl.call,cl.request); fmt.Printf("%x %v\n",k[:4],ok)
 }
}
