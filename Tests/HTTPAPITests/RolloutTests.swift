import JSON
import Testing

@Suite struct RolloutTests {
    private static let path = "/v1/functions/f/experiments/e/rollout"
    private static let custom = #""strategy":"custom","value":"#

    private func change(
        _ ledger: ServedLedger, _ body: String, query: String = "",
        headers: [(String, String)] = []
    ) async throws -> Answer {
        try await ledger.send("PUT", "\(Self.path)\(query)", body, headers: headers)
    }

    @Test(arguments: [
        (#"{"k1":"a","k2":"b"}"#, "application/json"),
        (#"[{"key":"k1","variant":"a"},{"key":"k2","variant":"b"}]"#, "application/json"),
        (
            "{\"key\":\"k1\",\"variant\":\"a\"}\n\n{\"key\":\"k2\",\"variant\":\"b\"}\n",
            "application/x-ndjson"
        ),
        ("k1: a\nk2: b\n", "application/yaml"),
    ])
    func `a table is changed by a map, a list or lines`(body: String, type: String) async throws {
        try await ServedLedger.run { ledger async throws in
            let headers = [("Content-Type", type)]
            let first = try await change(ledger, body, headers: headers)
            #expect(first["changed"] == 2 && first["unchanged"] == 0 && first["position"] == 2)
            let again = try await change(ledger, body, headers: headers)
            #expect(again["changed"] == 0 && again["unchanged"] == 2 && again["position"] == 2)
            let table = try await ledger.get(Self.path)
            #expect(table.items.texts("key") == ["k1", "k2"])
            #expect(table.items.texts("variant") == ["a", "b"])
            #expect(table.items.integers("position") == [1, 2])
        }
    }

    @Test func `null takes a key out, and its event says what it was`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await change(ledger, #"{"k1":"a","k2":"b"}"#)
            let answer = try await change(ledger, #"{"k1":null,"k3":null}"#)
            #expect(answer["changed"] == 1 && answer["unchanged"] == 1)
            #expect(try await ledger.get(Self.path).items.texts("key") == ["k2"])
            #expect(try await ledger.get("\(Self.path)?asOf=2").items.texts("key") == ["k1", "k2"])
            #expect(try await ledger.get("\(Self.path)?asOf=1").items.texts("key") == ["k1"])
            let event = try #require(try await ledger.events("RolloutChanged").last)
            #expect(event["stream"] == "rollout/f/e/k1" && event["version"] == 2)
            #expect(event.at("data", "previous") == "a" && event.at("data", "variant") == .null)
            let audit = try await ledger.get("/v1/audit?type=RolloutChanged").items.last
            #expect(audit?.at("before", "variant") == "a" && audit?.at("after", "variant") == .null)
            #expect(try await change(ledger, #"{"k1":"b"}"#)["changed"] == 1)
            #expect(try await ledger.events("RolloutChanged").last?["version"] == 3)
        }
    }

    @Test func `a table is read in pages that skip what was taken out`() async throws {
        try await ServedLedger.run { ledger async throws in
            let keys = (0..<25).map { "k/\($0 + 10)" }
            let body = keys.map { "\($0.quoted):\"a\"" }.joined(separator: ",")
            _ = try await change(ledger, "{\(body)}")
            _ = try await change(ledger, "{\(keys[3].quoted):null,\(keys[4].quoted):null}")
            var found: [String] = []
            var query = "?limit=2"
            while true {
                let page = try await ledger.get("\(Self.path)\(query)")
                found += page.items.texts("key")
                guard let next = page["next"]?.string else { break }
                query = "?limit=2&cursor=\(next.part)"
            }
            #expect(found == keys.filter { $0 != keys[3] && $0 != keys[4] })
        }
    }

    @Test func `a variant has to be declared, unless its code is on its way`() async throws {
        try await ServedLedger.run { ledger async throws in
            // Before the experiment exists there is nothing to check against.
            #expect(try await change(ledger, #"{"early":"c"}"#).status == 200)
            try await ledger.select("r1")
            let position = ledger.log.view.position
            let map = try await change(ledger, #"{"k1":"a","x/~":"c","k3":"A"}"#)
            #expect(map.status == 422)
            #expect(map.pointers == ["/x~1~0", "/k3"])
            let list = try await change(
                ledger, #"[{"key":"k1","variant":"a"},{"key":"k2","variant":"c"}]"#)
            #expect(list.pointers == ["/1/variant"])
            #expect(ledger.log.view.position == position)
            let allowed = try await change(
                ledger, #"{"k1":"a","k2":"c"}"#, query: "?allowUndeclared=true")
            #expect(allowed["changed"] == 2)
            // The run is still refused a variant that its request does not declare.
            let refused = try await ledger.select("r2", #"\#(Self.custom)"k2""#)
            #expect(refused.status == 422)
            #expect(try await change(ledger, "{}", query: "?allowundeclared=1").status == 400)
        }
    }

    @Test func `a custom strategy takes the table's entry, else what the caller falls back to`()
        async throws
    {
        try await ServedLedger.run { ledger async throws in
            _ = try await change(ledger, #"{"k":"b","42":"b"}"#)
            let named = try await ledger.select("r1", #"\#(Self.custom)"k","variant":"a""#)
            #expect(named["variant"] == "b")
            let number = try await ledger.select("r2", #"\#(Self.custom)42"#)
            #expect(number["variant"] == "b")
            let fallback = try await ledger.select("r3", #"\#(Self.custom)"none","variant":"a""#)
            #expect(fallback["variant"] == "a")
            let nothing = try await ledger.select("r4", #"\#(Self.custom)"none""#)
            #expect(nothing.pointers == ["/value"])
            let selected = try await ledger.events("VariantSelected")
            #expect(selected.map { $0.at("data", "rollout")?.integer } == [1, 2, nil])
            // What comes later does not move those that have their variant.
            _ = try await change(ledger, #"{"k":"a"}"#)
            #expect(try await ledger.select("r1", #"\#(Self.custom)"k""#)["variant"] == "b")
            #expect(try await ledger.select("r5", #"\#(Self.custom)"k""#)["variant"] == "a")
            _ = try await change(ledger, #"{"k":null}"#)
            let removed = try await ledger.select("r6", #"\#(Self.custom)"k","variant":"b""#)
            #expect(removed["variant"] == "b")
        }
    }

    @Test(
        arguments: [
            ("[]", 400, []), ("{}", 400, []), ("1", 400, []), ("{", 400, []),
            (#"{"k":{}}"#, 422, ["/k"]), (#"{"":"a","l/m":true}"#, 422, ["/", "/l~1m"]),
            (
                #"[{"key":"k","variant":[]},{"variant":"a"},{"key":"k","x":1},7]"#, 422,
                ["/0/variant", "/1/key", "/2/x", "/3", "/3/key"]
            ),
        ] as [(String, Int, [String])])
    func `a table that can't be read says where`(
        body: String, status: Int, pointers: [String]
    ) async throws {
        try await ServedLedger.run { ledger async throws in
            let answer = try await change(ledger, body)
            #expect(answer.status == status)
            #expect(answer.pointers == pointers, "\(answer.text)")
            #expect(ledger.log.view.position == 0)
        }
    }

    @Test func `a table changes once under an idempotency key`() async throws {
        try await ServedLedger.run { ledger async throws in
            let headers = [("Idempotency-Key", "k")]
            let first = try await change(ledger, #"{"k":"a"}"#, headers: headers)
            _ = try await change(ledger, #"{"k":"b"}"#)
            let again = try await change(ledger, #"{"k":"a"}"#, headers: headers)
            #expect(again.text == first.text)
            #expect(again.header("Idempotency-Replayed") == "true")
            #expect(try await ledger.get(Self.path).items.texts("variant") == ["b"])
        }
    }
}
