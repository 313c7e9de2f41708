import JSON
import Testing

@Suite struct IdempotencyTests {
    static let lab = #"{"schemaVersion":1,"kind":"lab","metadata":{"id":"x"}}"#
    static let writes = [
        ("PUT", "/v1/resources", lab, lab + " "),
        ("POST", "/v1/events", #"{"type":"LabCreated","data":{"metadata":{"id":"y"}}}"#, "[]"),
        (
            "POST", "/v1/experiments/hero-nov-2024/assignments", #"{"subjects":["a"]}"#,
            #"{"subjects":["b"]}"#
        ),
        (
            "POST", "/v1/assignments", #"{"subject":"a","experiments":["hero-nov-2024"]}"#,
            #"{"subject":"b","experiments":["hero-nov-2024"]}"#
        ),
        (
            "POST", "/experiment-assignments",
            #"{"experiment_id":"hero-nov-2024","subject_ids":["a"]}"#,
            #"{"experiment_id":"hero-nov-2024","subject_ids":["b"]}"#
        ),
        (
            "POST", "/v1/experiments/hero-nov-2024/cohorts",
            #"{"variants":[{"variant":"control","split":1}]}"#,
            #"{"variants":[{"variant":"control","split":1.0}]}"#
        ),
        (
            "POST", "/v1/experiments/hero-nov-2024/winner", #"{"variant":"control"}"#,
            #"{"variant":"treatment-a"}"#
        ),
        (
            "POST", "/v1/experiments/hero-nov-2024/end", #"{"reason":"other"}"#,
            #"{"reason":"success"}"#
        ),
    ]

    @Test(arguments: writes)
    func `a write with an idempotency key is done once`(
        method: String, path: String, body: String, other: String
    ) async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.applyYAML(Examples.active)
            let headers = [("Idempotency-Key", "k")]
            let first = try await ledger.send(method, path, body, headers: headers)
            #expect((200...201).contains(first.status))
            #expect(first.header("Idempotency-Replayed") == nil)
            let position = ledger.log.view.position
            let second = try await ledger.send(method, path, body, headers: headers)
            #expect(second.status == first.status)
            #expect(second.text == first.text)
            #expect(second.header("Idempotency-Replayed") == "true")
            if other != "[]" {
                let changed = try await ledger.send(method, path, other, headers: headers)
                #expect(changed.status == 422)
                #expect(changed.problem == "idempotency-key-reused")
            }
            #expect(ledger.log.view.position == position)
        }
    }

    @Test func `a refused request leaves its idempotency key free`() async throws {
        try await ServedLedger.run { ledger async throws in
            let headers = [("Idempotency-Key", "k")]
            #expect(try await ledger.apply("{}", headers: headers).status == 422)
            #expect(try await ledger.apply(Self.lab, headers: headers).status == 200)
        }
    }

    @Test(arguments: ["", String(repeating: "k", count: 257)])
    func `an idempotency key has a length`(key: String) async throws {
        try await ServedLedger.run { ledger async throws in
            let answer = try await ledger.apply(Self.lab, headers: [("Idempotency-Key", key)])
            #expect(answer.problem == "malformed-parameter")
        }
    }
}
