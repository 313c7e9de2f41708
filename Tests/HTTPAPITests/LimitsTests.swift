import JSON
import Testing

@Suite struct LimitsTests {
    @Test func `a body has a size`() async throws {
        try await ServedLedger.run { ledger async throws in
            for (method, path) in [("PUT", "/v1/resources"), ("POST", "/v1/events")] {
                let body = [UInt8](repeating: UInt8(ascii: " "), count: 16 << 20)
                let large = try await ledger.send(method, path, bytes: body)
                #expect(large.problem == "malformed-request")
                let tooLarge = try await ledger.send(method, path, bytes: body + [0x20])
                #expect(tooLarge.status == 413)
                #expect(tooLarge.problem == "body-too-large")
            }
        }
    }

    @Test func `headers have a size`() async throws {
        try await ServedLedger.run { ledger async throws in
            let value = String(repeating: "x", count: 17_000)
            let answer = try await ledger.send("HEAD", "/v1/labs", headers: [("X-A", value)])
            #expect(answer.status == 400)
            #expect(try await ledger.get("/healthz").status == 200)
        }
    }

    @Test func `batches have a length`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.applyYAML(Examples.active)
            func list(_ element: String) -> String {
                "[" + Array(repeating: element, count: 10_001).joined(separator: ",") + "]"
            }
            for (method, path, body) in [
                ("PUT", "/v1/resources", list("{}")), ("POST", "/v1/events", list("{}")),
                (
                    "POST", "/v1/experiments/hero-nov-2024/assignments",
                    #"{"subjects":\#(list("\"a\""))}"#
                ),
                ("POST", "/v1/assignments", #"{"subject":"a","experiments":\#(list("\"a\""))}"#),
                (
                    "POST", "/experiment-assignments",
                    #"{"experiment_id":"hero-nov-2024","subject_ids":\#(list("\"a\""))}"#
                ),
            ] {
                let answer = try await ledger.send(method, path, body)
                #expect([400, 422].contains(answer.status) && answer.detail.contains("10000"))
            }
        }
    }

    @Test func `a subject has 1 to 512 bytes`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.applyYAML(Examples.active)
            let path = "/v1/experiments/hero-nov-2024/assignments"
            let longest = String(repeating: "é", count: 256)
            #expect(
                try await ledger.send("POST", path, #"{"subjects":["\#(longest)"]}"#).status == 200)
            for subject in ["", longest + "x", "a\\u0000"] {
                let answer = try await ledger.send(
                    "POST", path, #"{"subjects":["a","\#(subject)"]}"#)
                #expect(answer.status == 422)
                #expect(answer.pointers == ["/subjects/1"])
            }
        }
    }

    @Test(arguments: [
        ("GET", "/"), ("GET", "/v2"), ("DELETE", "/v1/labs"), ("PATCH", "/v1/experiments/x"),
        ("GET", "/v1/resources"), ("POST", "/v1/experiments/x/start"),
    ])
    func `what no route answers is a problem that says so`(
        method: String, path: String
    ) async throws {
        try await ServedLedger.run { ledger async throws in
            let answer = try await ledger.send(method, path)
            #expect(answer.status == 404 && answer.problem == "not-found")
            #expect(answer.contentType == "application/problem+json")
            #expect(answer.detail.contains("\(method) \(path)"))
        }
    }

    @Test func `what can't be read is refused with its place`() async throws {
        try await ServedLedger.run { ledger async throws in
            let bad: [([UInt8], String)] = [
                (Array("{".utf8), "byte 1"),
                (Array("{\"a\":\"".utf8) + [0xFF, 0x22, 0x7D], "byte 6"),
                (Array("{} {}".utf8), "byte 3"), (Array("".utf8), "byte 0"),
                (Array("schemaVersion: 1".utf8), "application/yaml"),
                (Array(repeating: UInt8(ascii: "["), count: 100_000), "nested"),
                (Array(#"{"a":1,"a":2}"#.utf8), "uplicate"),
            ]
            for (body, part) in bad {
                let answer = try await ledger.send("PUT", "/v1/resources", bytes: body)
                #expect(answer.problem == "malformed-request")
                #expect(answer.detail.contains(part), "\(answer.detail)")
            }
            for path in ["%FF", "%", "%4", "%zz", "%+5", "%C0%AF"] {
                let answer = try await ledger.get("/v1/subjects/\(path)/assignments")
                #expect(answer.problem == "malformed-request", "\(path)")
            }
            let odd = try await ledger.get("/v1/experiments/a%2Fb")
            #expect(odd.status == 404 && odd.detail.contains("is no ID"))
        }
    }

    @Test func `a request ID of the client is kept if it can be`() async throws {
        try await ServedLedger.run { ledger async throws in
            func id(_ given: String) async throws -> String? {
                try await ledger.send("GET", "/healthz", headers: [("X-Request-ID", given)])
                    .header("X-Request-ID")
            }
            #expect(try await id("abc-1") == "abc-1")
            for odd in ["a b", String(repeating: "x", count: 129)] {
                #expect(try await id(odd)?.isEmpty == false)
                #expect(try await id(odd) != odd)
            }
        }
    }
}
