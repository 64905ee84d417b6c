// Pins the schemas that tests compare with; nothing here is compiled.
module windsock.test/schema

go 1.21

require (
	github.com/open-feature/flagd-schemas v0.2.13
	github.com/owenrumney/go-sarif/v3 v3.2.3
)
