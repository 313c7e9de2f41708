import JSON
import Testing

@testable import HTTPAPI

@Suite struct ApplyTests {
    @Test(arguments: Examples.all)
    func `an example of the documentation applies as it stands, and only once`(
        example: String
    ) async throws {
        try await ServedLedger.run { ledger async throws in
            let planned = try await ledger.applyYAML(example, query: "?dryRun=true")
            let types = try #require(planned["events"]?.array).texts("type")
            #expect(planned.status == 200 && types.contains("ExperimentCreated"))
            #expect(ledger.log.view.position == 0)

            let first = try await ledger.applyYAML(example)
            #expect(first.status == 200)
            #expect(first["events"]?.array?.texts("type") == types)
            #expect(first["position"]?.integer == Int64(types.count))

            let second = try await ledger.applyYAML(example)
            #expect(second["events"]?.array == [])
            #expect(second["resources"]?.array?.texts("action") == ["unchanged"])
            #expect(ledger.log.view.position == Int64(types.count))
        }
    }

    @Test(arguments: Examples.all)
    func `what is read as YAML or JSON applies again and changes nothing`(
        example: String
    ) async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.applyYAML(example)
            let position = ledger.log.view.position
            let yaml = try await ledger.get(
                "/v1/experiments/hero-nov-2024", accept: "application/yaml")
            #expect(yaml.contentType == "application/yaml")
            #expect(try await ledger.applyYAML(yaml.text).status == 200)
            let json = try await ledger.get("/v1/experiments/hero-nov-2024")
            #expect(json.contentType == "application/json")
            #expect(try await ledger.apply(json.text).status == 200)
            #expect(try YAML.documents(in: yaml.response.body) == [json.json])
            #expect(ledger.log.view.position == position)
        }
    }

    @Test(arguments: [
        (nil, "application/json"), ("*/*", "application/json"),
        ("application/yaml", "application/yaml"), ("text/yaml", "application/yaml"),
        ("application/json, application/yaml", "application/json"),
    ])
    func `Accept chooses between YAML and JSON`(accept: String?, type: String) async throws {
        try await ServedLedger.run { ledger async throws in
            for path in ["/v1/labs", "/v1/labs/DEFAULT", "/v1/audit"] {
                #expect(try await ledger.get(path, accept: accept).contentType == type)
            }
        }
    }

    @Test func `several YAML documents are applied together or not at all`() async throws {
        try await ServedLedger.run { ledger async throws in
            let lab = "schemaVersion: 1\nkind: lab\nmetadata: {id: a}\n"
            let both = try await ledger.applyYAML("---\n\(lab)---\n---\n\(Examples.draft)\n...\n")
            #expect(both["resources"]?.array?.texts("id") == ["A", "HERO-NOV-2024"])
            let position = ledger.log.view.position
            let refused = try await ledger.applyYAML(
                "\(lab.replacing("a}", with: "b}"))---\n\(lab)extra: 1\n")
            #expect(refused.status == 422)
            #expect(refused.pointers == ["/1/extra"])
            // What can't be parsed comes after what could.
            for broken in ["a: [", "a: 1\na: 2", "a: *b", "\t- x"] {
                let answer = try await ledger.applyYAML(
                    "\(lab.replacing("a}", with: "b}"))---\n\(broken)")
                #expect(answer.status == 400, "\(broken)")
                #expect(answer.problem == "malformed-request")
            }
            #expect(ledger.log.view.position == position)
        }
    }

    @Test(arguments: [
        "007", "1e3", "0x1F", "1_000", "12:30:45", "1.0", "-0", ".5", ".inf", ".NaN", "true",
        "True",
        "yes", "No", "on", "null", "~", "2024-01-02", "2024-01-02T03:04:05Z", "=", "<<", "- x",
        "# x",
        "x # y", "x: y", " x ", "\"x\"", "'", "a\nb\n", "\n\na", "a\\b", "&a", "*a", "!t", "%", "@",
        "`",
        "{a}", "[a]", "\u{1}", "\u{85}", "\u{2028}", "x\u{FEFF}", "🧪 é", "\t", "|", "> x", "---",
        "...",
        "? x", String(repeating: "long words ", count: 23),
    ])
    func `a text survives YAML, whatever it looks like`(text: String) async throws {
        try await ServedLedger.run { ledger async throws in
            let name = String(decoding: JSONValue.string(text).encoded, as: UTF8.self)
            let lab = #"{"schemaVersion":1,"kind":"lab","metadata":{"id":"x","name":\#(name)}}"#
            #expect(try await ledger.apply(lab).status == 200)
            let yaml = try await ledger.get("/v1/labs/x", accept: "application/yaml")
            #expect(
                try YAML.documents(in: yaml.response.body).first?["metadata"]?["name"]
                    == .string(text), "\(yaml.text)")
            let again = try await ledger.applyYAML(yaml.text)
            #expect(again["events"]?.array == [], "\(yaml.text)")
        }
    }

    @Test(arguments: [
        ("a: &x [y]\nb: *x", "aliases are not allowed"), ("? [a]\n: 1", "not a text"),
        ("a: 1\n\"a\": 2", "uplicate"), ("a: \u{1}", "control characters"),
        ("%YAML 3.0\n---\na: 1", "incompatible"),
        (String(repeating: "[", count: 50_000), "nesting"),
        (String(repeating: "[", count: 90) + String(repeating: "]", count: 90), "too deeply"),
        ("", "not 0"), ("---\n---", "not 0"), ("# nothing", "not 0"),
    ])
    func `odd YAML is refused with its reason`(yaml: String, reason: String) async throws {
        try await ServedLedger.run { ledger async throws in
            let answer = try await ledger.applyYAML(yaml)
            #expect(answer.status == 400)
            #expect(answer.detail.contains(reason), "\(answer.detail)")
        }
    }

    @Test func `a bomb of aliases is refused at once, also as a key`() async throws {
        var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1..<12 {
            let aliases = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            bomb += "a\(level): &a\(level) [\(aliases)]\n"
        }
        try await ServedLedger.run { [bomb] ledger async throws in
            for text in [bomb, bomb + "? *a11\n: 1\n"] {
                let answer = try await ledger.applyYAML(text)
                #expect(answer.status == 400)
                #expect(answer.detail.contains("aliases are not allowed"))
            }
        }
    }

    @Test func `many keys in one YAML mapping take no time to speak of`() async throws {
        let text = (0..<20_000).map { "k\($0): 1\n" }.joined()
        let started = ContinuousClock.now
        #expect(try YAML.documents(in: Array(text.utf8))[0].object?.count == 20_000)
        #expect(ContinuousClock.now - started < .seconds(20))
    }

    @Test func `If-Match makes an update conditional`() async throws {
        try await ServedLedger.run { ledger async throws in
            func apply(_ name: String, _ tag: String) async throws -> Answer {
                try await ledger.apply(
                    #"{"schemaVersion":1,"kind":"lab","metadata":{"id":"x","name":"\#(name)"}}"#,
                    headers: [("If-Match", tag)])
            }
            #expect(try await apply("a", "\"1\"").problem == "precondition-failed")
            _ = try await ledger.apply(#"{"schemaVersion":1,"kind":"lab","metadata":{"id":"x"}}"#)
            let tag = try #require(try await ledger.get("/v1/labs/x").header("ETag"))
            #expect(tag == "\"1\"")
            #expect(try await apply("a", tag).status == 200)
            let late = try await apply("b", tag)
            #expect(late.status == 412)
            #expect(late.detail.contains("resource version 2"))
            #expect(try await apply("b", "2").status == 200)
            #expect(try await apply("c", "W/\"3\"").status == 200)
            for odd in ["x", "*"] {
                #expect(try await apply("d", odd).problem == "malformed-parameter")
            }
            let step = try await ledger.send(
                "POST", "/v1/experiments/x/activate", headers: [("If-Match", "\"1\"")])
            #expect(step.problem == "malformed-parameter")
        }
    }

    @Test func `pointers say in which document of a list a fault is`() async throws {
        try await ServedLedger.run { ledger async throws in
            let bad =
                #"{"schemaVersion":1,"kind":"lab","metadata":{"id":"default","status":"archived"}}"#
            #expect(try await ledger.apply(bad).pointers == ["/metadata/status"])
            #expect(try await ledger.apply("[\(bad)]").pointers == ["/0/metadata/status"])
            #expect(
                try await ledger.apply("[\(bad)]", query: "?dryRun=1").pointers
                    == ["/0/metadata/status"])
            #expect(
                try await ledger.apply("[\(bad),\(bad)]").pointers
                    == ["/0/metadata/status", "/1/metadata/status"])
            #expect(try await ledger.apply("[{}]").pointers.first == "/0/schemaVersion")
        }
    }

    @Test func `a parameter that is mistyped records nothing`() async throws {
        try await ServedLedger.run { ledger async throws in
            let lab = #"{"schemaVersion":1,"kind":"lab","metadata":{"id":"x"}}"#
            for query in ["?dryrun=true", "?dryRun=yes", "?reopen=true"] {
                let answer = try await ledger.apply(lab, query: query)
                #expect(answer.problem == "malformed-parameter")
            }
            #expect(ledger.log.view.position == 0)
        }
    }

    @Test func `a status goes back only with a reason, which is recorded`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.applyYAML(Examples.winner)
            #expect(try await ledger.applyYAML(Examples.active).pointers == ["/metadata/status"])
            let back = try await ledger.applyYAML(
                Examples.active, query: "?reopen=true&reason=not%20so%20sure")
            let event = try #require(back["events"]?.array?.last)
            #expect(event["type"] == "ExperimentReopened")
            #expect(event["data"]?["reason"] == "not so sure")
        }
    }
}
