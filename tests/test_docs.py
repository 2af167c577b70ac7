"""What the project's files say of each other."""

import json
import re
import unittest

from tests.local_provider import SCRIPT

SOURCE = SCRIPT.read_text(encoding="utf-8")
README = SCRIPT.with_name("README.md").read_text(encoding="utf-8")
REQUIREMENTS = SCRIPT.with_name("requirements.txt").read_text(encoding="utf-8")

# A fact in the script, and the words in which the README repeats it.
QUOTES = [
    (r'^# requires-python = ">=(.+)"$', "Python {} or later"),
    (r'^ +model="(.+)",$', "`{}`"),
    (r'print\(f"\\n(Error occurred:) ', "`{}`"),
    (r'print\(f"\\n\\n(Final accumulated text:) ', "`{}`"),
    (r"sys\.exit\((\d+)\)", "{} after Ctrl-C"),
]


class DocsTest(unittest.TestCase):
    def test_uv_and_pip_install_the_same(self):
        block = re.search(r"^# /// script\n((?:# .*\n)+)# ///$", SOURCE, re.MULTILINE)
        [dependencies] = re.findall(r"# dependencies = (.+)", block[1])
        requirements = [
            line.partition("#")[0].strip() for line in REQUIREMENTS.splitlines()
        ]
        self.assertEqual(json.loads(dependencies), requirements)

    def test_the_readme_quotes_the_script_as_it_is(self):
        for pattern, words in QUOTES:
            with self.subTest(words):
                [fact] = re.findall(pattern, SOURCE, re.MULTILINE)
                self.assertIn(words.format(fact), README)
