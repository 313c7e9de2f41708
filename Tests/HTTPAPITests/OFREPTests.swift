import JSON
import PythonEnvironment
import TestSupport
import Testing

@Suite struct OFREPTests {
    private static let path = "/ofrep/v1/evaluate/flags"
    private static let hero = "/v1/experiments/hero-nov-2024"
    private static let anna = #"{"context":{"targetingKey":"anna","assign":true,"plan":["x"]}}"#
    private static let annaReading = #"{"context":{"targetingKey":"anna","assign":false}}"#

    private func evaluate(
        _ key: String, _ body: String = anna, _ ledger: ServedLedger,
        headers: [(String, String)] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Answer {
        try await ledger.send(
            "POST", "\(Self.path)/\(key)", body, headers: headers, sourceLocation: sourceLocation)
    }

    private func evaluateAll(
        _ body: String = anna, _ ledger: ServedLedger, headers: [(String, String)] = [],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Answer {
        try await ledger.send(
            "POST", Self.path, body, headers: headers, sourceLocation: sourceLocation)
    }

    private func applyExperiments(_ ledger: ServedLedger) async throws {
        for yaml in [
            Examples.active, Examples.active.replacing("hero-nov-2024", with: "another"),
            Examples.draft.replacing("hero-nov-2024", with: "drafted"),
            Examples.winner.replacing("hero-nov-2024", with: "won"),
        ] {
            #expect(try await ledger.applyYAML(yaml).status == 200)
        }
    }

    @Test func `a flag's value is the variant of the subject that its targeting key names`()
        async throws
    {
        try await ServedLedger.run { ledger async throws in
            try await applyExperiments(ledger)
            for reason in ["NEW", "EXISTING"] {
                let flag = try await evaluate("hero-NOV-2024", Self.anna, ledger)
                #expect(flag.status == 200)
                let made = try #require(
                    try await ledger.get("\(Self.hero)/assignments").items.first)
                #expect(made["subject"] == "anna")
                #expect(flag["key"] == "HERO-NOV-2024")
                #expect(flag["value"] == made["variant"])
                #expect(flag["variant"] == made["variant"])
                #expect(flag["reason"] == "SPLIT")
                #expect(flag["metadata"]?["cohort"] == made["cohort"])
                #expect(flag["metadata"]?["position"] == made["position"])
                #expect(flag["metadata"]?["reason"] == .string(reason))
            }
        }
    }

    @Test(arguments: [true, false])
    func `a flag's reason follows the status of its experiment`(assign: Bool) async throws {
        let (body, anyone) = (
            assign ? Self.anna : Self.annaReading,
            assign ? "{}" : #"{"context":{"assign":false}}"#
        )
        try await ServedLedger.run { ledger async throws in
            func expect(_ reason: String, _ value: JSONValue?, _ own: String) async throws {
                // Only an active experiment has to know the subject.
                for body in [body] + (["SPLIT", "DEFAULT"].contains(reason) ? [] : [anyone]) {
                    let flag = try await evaluate("hero-nov-2024", body, ledger)
                    #expect(flag.status == 200, "\(flag.text)")
                    #expect(flag["reason"] == .string(reason))
                    #expect(flag["metadata"]?["reason"] == .string(own))
                    #expect(flag["value"] == value)
                    #expect(flag["variant"] == value ?? "")
                }
            }
            #expect(try await ledger.applyYAML(Examples.draft).status == 200)
            try await expect("DISABLED", nil, "NOT_ACTIVE")
            try await ledger.send("POST", "\(Self.hero)/activate")
            if !assign {
                try await expect("DEFAULT", nil, "NOT_ASSIGNED")
                #expect(try await ledger.get("\(Self.hero)/assignments").items.isEmpty)
            }
            let given = try await evaluate("hero-nov-2024", Self.anna, ledger)["value"]
            try await expect("SPLIT", given, "EXISTING")
            try await ledger.send("POST", "\(Self.hero)/winner", #"{"variant":"treatment-a"}"#)
            try await expect("STATIC", "TREATMENT-A", "WINNER")
            try await ledger.send("POST", "\(Self.hero)/end", #"{"reason":"success"}"#)
            try await expect("DISABLED", nil, "ENDED")
            try await ledger.send("POST", "\(Self.hero)/archive")
            try await expect("DISABLED", nil, "ARCHIVED")
        }
    }

    @Test func `a request that can't be evaluated is answered with the protocol's error code`()
        async throws
    {
        try await ServedLedger.run { ledger async throws in
            try await applyExperiments(ledger)
            let position = ledger.log.view.position
            let tooLong = String(repeating: "x", count: 513)
            for (body, code) in [
                ("", "PARSE_ERROR"), ("{", "PARSE_ERROR"), ("[]", "PARSE_ERROR"),
                (#"{"context":"anna"}"#, "INVALID_CONTEXT"),
                (#"{"context":{"targetingKey":1}}"#, "INVALID_CONTEXT"),
                (#"{"context":{"targetingKey":"a","assign":"no"}}"#, "INVALID_CONTEXT"),
                (#"{"context":{"targetingKey":"\#(tooLong)"}}"#, "INVALID_CONTEXT"),
                (#"{"context":{"targetingKey":"\u0000"}}"#, "INVALID_CONTEXT"),
            ] {
                for answer in [
                    try await evaluate("hero-nov-2024", body, ledger),
                    try await evaluateAll(body, ledger),
                ] {
                    #expect(answer.status == 400, "\(body)")
                    #expect(answer["errorCode"] == .string(code), "\(body)")
                    #expect(answer["errorDetails"]?.string?.isEmpty == false)
                }
                let one = try await evaluate("hero-nov-2024", body, ledger)
                #expect(one["key"] == "hero-nov-2024")
            }
            for body in ["{}", #"{"context":null}"#, #"{"context":{"targetingKey":""}}"#] {
                let answer = try await evaluate("hero-nov-2024", body, ledger)
                #expect(answer.status == 400)
                #expect(answer["errorCode"] == "TARGETING_KEY_MISSING", "\(body)")
            }
            let header = ("Idempotency-Key", String(repeating: "x", count: 257))
            let general = try await evaluate("another", Self.anna, ledger, headers: [header])
            #expect(general["errorCode"] == "GENERAL")
            #expect(ledger.log.view.position == position)
        }
    }

    @Test(arguments: [("none", "none"), ("no%20id", "no id"), ("%zz", "%zz"), ("%C3%A9", "é")])
    func `a key that names no experiment is no flag`(part: String, key: String) async throws {
        try await ServedLedger.run { ledger async throws in
            let answer = try await evaluate(part, Self.anna, ledger)
            #expect(answer.status == 404)
            #expect(answer["errorCode"] == "FLAG_NOT_FOUND")
            #expect(answer["key"] == .string(key))
        }
    }

    @Test func `all flags are evaluated in one commit`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await applyExperiments(ledger)
            let position = ledger.log.view.position
            let reading = try await evaluateAll(Self.annaReading, ledger)
            #expect(reading["flags"]?.array?.texts("reason") == ["DEFAULT", "DEFAULT", "STATIC"])
            #expect(ledger.log.view.position == position)

            let all = try await evaluateAll(Self.anna, ledger)
            let flags = try #require(all["flags"]?.array)
            #expect(flags.texts("key") == ["ANOTHER", "HERO-NOV-2024", "WON"])
            #expect(flags.texts("reason") == ["SPLIT", "SPLIT", "STATIC"])
            #expect(all["metadata"]?["position"]?.integer == position + 2)
            let events = try await ledger.get("/v1/events?type=AssignmentMade").lines
            #expect(events.integers("position") == [position + 1, position + 2])
            #expect(Set(events.texts("recordedAt")).count == 1)
            for flag in flags {
                let one = try await evaluate(flag["key"]?.string ?? "", Self.anna, ledger)
                #expect(one.json == flag)
            }
        }
    }

    @Test func `without a targeting key only what needs none has an answer among all flags`()
        async throws
    {
        try await ServedLedger.run { ledger async throws in
            try await applyExperiments(ledger)
            let flags = try #require(try await evaluateAll("{}", ledger)["flags"]?.array)
            #expect(flags.texts("key") == ["WON", "ANOTHER", "HERO-NOV-2024"])
            #expect(flags[0]["value"] == "TREATMENT-A")
            #expect(
                flags.texts("errorCode") == ["TARGETING_KEY_MISSING", "TARGETING_KEY_MISSING"])
        }
    }

    @Test func `flags that have not changed are not sent again`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await applyExperiments(ledger)
            for body in [
                Self.anna, Self.annaReading, #"{"context":{"targetingKey":"b","assign":false}}"#,
            ] {
                let first = try await evaluateAll(body, ledger)
                let tag = try #require(first.header("ETag"))
                // Nothing of the flags: another subject's draw moves the log on.
                _ = try await evaluate(
                    "another", #"{"context":{"targetingKey":"\#(tag.dropFirst().prefix(8))"}}"#,
                    ledger)
                let again = try await evaluateAll(body, ledger)
                #expect(again.text == first.text)
                #expect(again.header("ETag") == tag)
                for known in [tag, "W/\(tag)", "\"0\", \(tag) ,\"1\"", "*"] {
                    let answer = try await evaluateAll(
                        body, ledger, headers: [("If-None-Match", known)])
                    #expect(answer.status == 304, "\(known)")
                    #expect(answer.response.body.isEmpty)
                    #expect(answer.header("ETag") == tag)
                }
            }
            let tag = try #require(try await evaluateAll(Self.anna, ledger).header("ETag"))
            try await ledger.send("POST", "\(Self.hero)/end", #"{"reason":"other"}"#)
            let changed = try await evaluateAll(
                Self.anna, ledger, headers: [("If-None-Match", tag)])
            #expect(changed.status == 200)
            #expect(changed["flags"]?.array?.texts("key") == ["ANOTHER", "WON"])
            #expect(changed.header("ETag") != tag)
        }
    }

    @Test func `a repeated request with an idempotency key gets the first answer`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await applyExperiments(ledger)
            for (path, key) in [("\(Self.path)/another", "one"), (Self.path, "all")] {
                func send(_ body: String) async throws -> Answer {
                    try await ledger.send(
                        "POST", path, body, headers: [("Idempotency-Key", key)])
                }
                let first = try await send(Self.anna)
                let again = try await send(Self.anna)
                #expect(again.text == first.text)
                #expect(again.header("ETag") == first.header("ETag"))
                #expect(again.header("Idempotency-Replayed") == "true")
                let other = try await send(Self.anna + " ")
                #expect(other.status == 400)
                #expect(other["errorCode"] == "GENERAL")
            }
        }
    }

    @Test func `assigning needs an assigner and reading a reader`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await applyExperiments(ledger)
            let (reader, assigner) = (
                try await key("reader", ledger), try await key("assigner", ledger)
            )
            for path in ["\(Self.path)/hero-nov-2024", Self.path] {
                for (body, secret, status) in [
                    (Self.annaReading, reader, 200), (Self.anna, reader, 403),
                    (Self.anna, assigner, 200), (Self.annaReading, "none", 401),
                ] {
                    let answer = try await ledger.send(
                        "POST", path, body, headers: [("Authorization", "Bearer \(secret)")])
                    #expect(answer.status == status, "\(path) \(body) \(answer.text)")
                }
            }
        }
    }

    private func key(_ role: String, _ ledger: ServedLedger) async throws -> String {
        let answer = try await ledger.send("POST", "/v1/keys", #"{"role":"\#(role)"}"#)
        return try #require(answer["secret"]?.string)
    }

    // MARK: OpenFeature's own client

    private static let openFeature = PythonEnvironment(
        packages: ["openfeature-sdk==0.10.0", "openfeature-provider-ofrep==0.3.0"],
        check: "import openfeature.contrib.provider.ofrep")

    /// Prints a line of JSON for each flag, as the client sees it.
    private static let script = """
        import json, os, sys

        from openfeature import api
        from openfeature.contrib.provider.ofrep import OFREPProvider
        from openfeature.evaluation_context import EvaluationContext

        os.environ["NO_PROXY"] = "*"
        asked = json.load(open(sys.argv[1]))
        headers = {"Authorization": "Bearer " + asked["key"]}
        api.set_provider(OFREPProvider(asked["url"], headers_factory=lambda: headers))
        client = api.get_client()
        for flag, subject, attributes in asked["flags"]:
            details = client.get_string_details(
                flag, "fallback", EvaluationContext(subject, attributes))
            print(json.dumps({
                "value": details.value, "variant": details.variant, "reason": details.reason,
                "metadata": details.flag_metadata, "error": details.error_code,
            }))
        """

    @Test func `OpenFeature's Python SDK and OFREP provider work unchanged`() async throws {
        do { _ = try await onThread { try Self.openFeature.ready() } } catch {
            try Test.cancel("No OpenFeature to ask with: \(error)")
        }
        try await ServedLedger.run { ledger async throws in
            try await applyExperiments(ledger)
            let secret = try await key("assigner", ledger)
            let input = """
                {"url": "http://127.0.0.1:\(ledger.port)", "key": "\(secret)", "flags": [
                  ["hero-nov-2024", "anna", {"assign": false}], ["hero-nov-2024", "anna", {}],
                  ["hero-nov-2024", "anna", {"country": "NZ"}], ["won", null, {}],
                  ["drafted", "anna", {}], ["none", "anna", {}], ["hero-nov-2024", null, {}],
                  ["hero-nov-2024", "anna", {"assign": "no"}]]}
                """
            let printed = try await onThread { try Self.openFeature.run(Self.script, on: input) }
            let seen = try printed.split(separator: "\n").map {
                try JSONValue.parse(Array($0.utf8))
            }
            let made = try #require(try await ledger.get("\(Self.hero)/assignments").items.first)
            let variant = try #require(made["variant"]?.string)
            #expect(
                seen.texts("value")
                    == ["fallback", variant, variant, "TREATMENT-A"]
                    + Array(repeating: "fallback", count: 4))
            #expect(
                seen.texts("reason") == [
                    "DEFAULT", "SPLIT", "SPLIT", "STATIC", "DISABLED", "ERROR", "ERROR", "ERROR",
                ])
            #expect(seen[1...3].map { $0["variant"] } == seen[1...3].map { $0["value"] })
            #expect(
                seen.map { $0["error"] ?? .null } == [
                    .null, .null, .null, .null, .null, "FLAG_NOT_FOUND", "TARGETING_KEY_MISSING",
                    "INVALID_CONTEXT",
                ])
            #expect(
                seen[0...4].compactMap { $0["metadata"]?["reason"]?.string }
                    == ["NOT_ASSIGNED", "NEW", "EXISTING", "WINNER", "NOT_ACTIVE"])
            #expect(seen[1]["metadata"]?["cohort"] == made["cohort"])
            #expect(seen[1]["metadata"]?["position"] == made["position"])
        }
    }
}
