package redis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/stores/redis/redistest"
)

// authority is one that signs servers' certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	return &authority{certificate: sign(t, template, template, &key.PublicKey, key), key: key}
}

func sign(t *testing.T, template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// serve has an authority sign a certificate for an address, and gives a server's arguments for it.
func (a *authority) serve(t *testing.T, address string) (args []string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.ParseIP(address)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}} // masters of a Cluster are clients of each other
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"cert": {Type: "CERTIFICATE", Bytes: sign(t, template, a.certificate, &key.PublicKey, a.key).Raw},
		"key":  {Type: "PRIVATE KEY", Bytes: raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--tls-cert-file", filepath.Join(dir, "cert"), "--tls-key-file", filepath.Join(dir, "key"), "--tls-auth-clients", "no"}
}

// trusted is an authority that this process believes, by the variable that the documentation names, and its file. A process reads
// that once, so that there can be no other test of this kind.
func trusted(t *testing.T) (a *authority, file string) {
	t.Helper()
	a, file = newAuthority(t), filepath.Join(t.TempDir(), "authority")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	return a, file
}

func TestAnEncryptedServerIsBelievedWhereItsCertificateIsInOrder(t *testing.T) {
	good, file := trusted(t)
	unknown := newAuthority(t)
	start := func(args []string) (s *redistest.Server, address string) {
		port := strconv.Itoa(redistest.FreePort(t))
		return redistest.Start(t, append(args, "--tls-port", port)...), "127.0.0.1:" + port
	}
	t.Run("one server", func(t *testing.T) {
		_, address := start(good.serve(t, "127.0.0.1"))
		use(t, "rediss://"+address)
	})
	t.Run("a cluster", func(t *testing.T) {
		var masters []*redistest.Server
		var addresses []string
		for range 3 {
			s, address := start(append(good.serve(t, "127.0.0.1"), "--tls-ca-cert-file", file, "--tls-cluster", "yes", "--cluster-enabled", "yes"))
			masters, addresses = append(masters, s), append(addresses, address)
		}
		redistest.Join(t, masters, addresses, "--tls", "--cacert", file)
		use(t, "rediss+cluster://"+strings.Join(addresses, ","))
	})
	for name, args := range map[string][]string{
		"one of an authority that is unknown": unknown.serve(t, "127.0.0.1"),
		"one for another address":             good.serve(t, "127.0.0.2"),
	} {
		t.Run(name, func(t *testing.T) {
			_, address := start(args)
			log, logs := observed()
			l := member(t, newClient(t, "rediss://"+address, time.Second, log))
			for range 2 * openAfter {
				admit(t, l, -1, requests("key:a", 100, time.Hour))
			}
			if l.client.Up() {
				t.Error("redis is still asked")
			}
			if logs.Len() != 1 || !strings.Contains(fmt.Sprint(logs.All()[0].ContextMap()["error"]), "x509") {
				t.Errorf("want one line about the certificate: %v", logs.All())
			}
		})
	}
}
