// Pins the official schema that tests/lint/test_schema.py compares with; nothing here is compiled.
module windsock.test/schema

go 1.21

require github.com/open-feature/flagd-schemas v0.2.13
