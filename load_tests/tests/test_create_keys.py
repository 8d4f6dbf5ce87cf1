"""create_keys.py against a real gateway, by its key API and by its command."""

import unittest

from stack import ADMIN_KEY, Stack, free_port


class CreateKeys(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()
        cls.addClassCleanup(cls.stack.stop)

    def create(self, *options: str, **environment: str):
        return self.stack.python("load_tests/create_keys.py", "--host", self.stack.host, *options, **environment)

    def keys(self, name: str = "load_tests/keys.env") -> dict[str, str]:
        return dict(line.split("=") for line in (self.stack.root / name).read_text().split())

    def test_both_ways_make_keys_with_their_limits(self):
        for way, environment in {"command": {}, "API": {"GATEWAY_ADMIN_KEY": ADMIN_KEY}}.items():
            with self.subTest(way):
                done = self.create(**environment)
                self.assertEqual(done.returncode, 0, done.stderr)
                keys = self.keys()
                for key in keys.values():
                    self.assertRegex(key, "^sp_[0-9a-f]{64}$")
                    self.assertNotIn(key, done.stdout + done.stderr)
                answers = [self.stack.ask("/v1/models", keys["RATE_LIMIT_KEY"])[0] for _ in range(4)]
                self.assertEqual(answers, [200, 200, 200, 429])
                answers = [self.stack.ask("/v1/models", keys["API_KEY"])[0] for _ in range(10)]
                self.assertEqual(answers, [200] * 10)

    def test_limits_may_be_others(self):
        for environment in ({}, {"GATEWAY_ADMIN_KEY": ADMIN_KEY}):
            done = self.create("--high-limit", "2/1h", "--low-limit", "none", "--output", "others", **environment)
            self.assertEqual(done.returncode, 0, done.stderr)
            keys = self.keys("others")
            # The script itself has asked once.
            self.assertEqual([self.stack.ask("/v1/models", keys["API_KEY"])[0] for _ in range(2)], [200, 429])
            self.assertEqual([self.stack.ask("/v1/models", keys["RATE_LIMIT_KEY"])[0] for _ in range(5)], [200] * 5)

    def test_nobody_else_can_read_the_file(self):
        path = self.stack.root / "load_tests" / "keys.env"
        path.write_text("readable before")
        path.chmod(0o644)
        self.assertEqual(self.create().returncode, 0)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_mistakes_are_one_line_that_says_what_to_do(self):
        for what, (done, says) in {
            "a wrong credential": (self.create(GATEWAY_ADMIN_KEY="nonsense-nonsense-nonsense-nonsense"), "refuses GATEWAY_ADMIN_KEY"),
            "no gateway": (self.create("--host", f"http://localhost:{free_port()}"), "make run"),
            "no address": (self.create("--host", "localhost:8000"), "localhost:8000"),
            "no limit by API": (self.create("--high-limit", "many", GATEWAY_ADMIN_KEY=ADMIN_KEY), "limit"),
            "no limit by command": (self.create("--high-limit", "many"), "limit"),
            "no binary": (self.create("--caddy", "/nowhere/caddy", PATH="/nowhere"), "make build"),
        }.items():
            with self.subTest(what):
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(says, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_a_gateway_with_its_keys_elsewhere_is_found_out(self):
        other = Stack()
        self.addCleanup(other.stop)
        done = self.create("--host", other.host)
        self.assertEqual(done.returncode, 1)
        self.assertIn("keeps its keys elsewhere", done.stderr)


if __name__ == "__main__":
    unittest.main()
