// Command stock is Caddy as it comes, at the version that the gateway is built with: what the gateway is compared to.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

func main() { caddycmd.Main() }
