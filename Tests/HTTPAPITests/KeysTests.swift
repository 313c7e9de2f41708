import JSON
import Logging
import Synchronization
import Testing

@testable import HTTPAPI

@Suite struct KeysTests {
    private static func bearer(_ secret: String) -> [(String, String)] {
        [("Authorization", "Bearer \(secret)")]
    }

    /// Makes a key of each role on a ledger that serves without one.
    private static func keys(_ ledger: ServedLedger) async throws -> [String: String] {
        var secrets: [String: String] = [:]
        for role in ["admin", "editor", "assigner", "reader"] {
            let made = try await ledger.send(
                "POST", "/v1/keys", #"{"role":"\#(role)","id":"\#(role)"}"#)
            secrets[role] = try #require(made["secret"]?.string)
        }
        return secrets
    }

    @Test func `each role may do its own and what those below it may`() async throws {
        try await ServedLedger.run { ledger async throws in
            let keys = try await Self.keys(ledger)
            _ = try await ledger.applyYAML(Examples.active)
            let path = "/v1/experiments/hero-nov-2024"
            let roles = ["reader", "assigner", "editor", "admin"]
            for (method, path, body, needed) in [
                ("GET", "/v1/labs", nil, "reader"), ("GET", "/v1/events", nil, "reader"),
                ("GET", "/v1/audit", nil, "reader"), ("GET", "/metrics", nil, "reader"),
                ("GET", "\(path)/assignments", nil, "reader"), ("GET", "/v1/log", nil, "reader"),
                ("POST", "\(path)/assignments", #"{"subjects":["a"]}"#, "assigner"),
                ("POST", "/v1/assignments", #"{"subject":"a","experiments":[]}"#, "assigner"),
                (
                    "POST", "/experiment-assignments",
                    #"{"experiment_id":"hero-nov-2024","subject_ids":[]}"#, "assigner"
                ),
                ("PUT", "/v1/resources", IdempotencyTests.lab, "editor"),
                ("POST", "\(path)/activate", nil, "editor"), ("POST", "/v1/events", "[]", "editor"),
                ("GET", "/v1/keys", nil, "admin"), ("POST", "/v1/keys", "{}", "admin"),
                ("DELETE", "/v1/keys/none", nil, "admin"),
            ] as [(String, String, String?, String)] {
                for (rank, role) in roles.enumerated() {
                    let answer = try await ledger.send(
                        method, path, body, headers: Self.bearer(keys[role] ?? ""))
                    let isAllowed = rank >= roles.firstIndex(of: needed) ?? 0
                    #expect(
                        (answer.status == 403) == !isAllowed, "\(role) \(method) \(path)")
                    if !isAllowed { #expect(answer.detail.contains("role \(needed)")) }
                }
            }
        }
    }

    @Test func `without a key neither a web page nor a foreign name is served`() async throws {
        try await ServedLedger.run { ledger async throws in
            for header in [
                ("Origin", "https://example.com"), ("Origin", "null"), ("Host", "example.com"),
                ("Host", "127.0.0.1.example.com:80"),
            ] {
                let answer = try await ledger.send(
                    "POST", "/v1/keys", #"{"role":"admin"}"#, headers: [header])
                #expect(answer.status == 403, "\(header)")
            }
            #expect(ledger.log.view.position == 0)
            let keys = try await Self.keys(ledger)
            let answer = try await ledger.send(
                "GET", "/v1/labs", nil,
                headers: [("Origin", "https://example.com")] + Self.bearer(keys["reader"] ?? ""))
            #expect(answer.status == 200)
        }
    }

    @Test func `the document names the role that each operation needs`() async throws {
        try await ServedLedger.run { ledger async throws in
            let keys = try await Self.keys(ledger)
            let roles = ["reader", "assigner", "editor", "admin"]
            for (method, path, operation) in OpenAPIDocument.shared.operations {
                let needed = operation["x-role"]?.string.flatMap { roles.firstIndex(of: $0) } ?? -1
                let path = path.replacing("{id}", with: "X").replacing("{subject}", with: "X")
                for (rank, role) in roles.enumerated() {
                    let answer = try await ledger.send(
                        method, path, headers: Self.bearer(keys[role] ?? ""))
                    #expect((answer.status == 403) == (rank < needed), "\(role) \(method) \(path)")
                }
            }
        }
    }

    @Test func `without a key only probes are answered where keys are needed`() async throws {
        try await ServedLedger.run(servesWithoutKey: false) { ledger async throws in
            for (method, path, operation) in OpenAPIDocument.shared.operations {
                let path = path.replacing("{id}", with: "X").replacing("{subject}", with: "X")
                let answer = try await ledger.send(method, path)
                let isOpen = operation["security"] == .array([])
                #expect(answer.status == (isOpen ? 200 : 401), "\(method) \(path)")
                if !isOpen { #expect(answer.header("WWW-Authenticate") == "Bearer") }
            }
        }
    }

    @Test func `a key that is wrong or revoked is refused, also where none is needed`() async throws
    {
        try await ServedLedger.run { ledger async throws in
            let secret = try #require(try await Self.keys(ledger)["reader"])
            func status(_ header: String) async throws -> Int {
                try await ledger.send("GET", "/v1/labs", headers: [("Authorization", header)])
                    .status
            }
            #expect(try await status("Bearer \(secret)") == 200)
            #expect(try await status("bearer \(secret)") == 200)
            for wrong in [
                "Bearer \(secret)0", "Bearer \(secret.dropLast())", "Bearer ", "Bearer x", secret,
                "Basic \(secret)", "Bearer ldg_reader_", "Bearer ldg__", "Bearer ldg_none_00",
                "Bearer \(secret.uppercased())", "Bearer  \(secret)",
            ] {
                #expect(try await status(wrong) == 401, "\(wrong)")
            }
            #expect(try await ledger.send("DELETE", "/v1/keys/reader").status == 204)
            #expect(try await ledger.send("DELETE", "/v1/keys/reader").status == 204)
            #expect(try await status("Bearer \(secret)") == 401)
            let keys = try await ledger.get("/v1/keys").items
            #expect(keys.filter { $0["revokedAt"] != .null }.texts("id") == ["reader"])
            let again = try await ledger.send(
                "POST", "/v1/keys", #"{"role":"reader","id":"reader"}"#)
            #expect(again.status == 409)
        }
    }

    @Test func `events say which key did it, and nothing tells its secret`() async throws {
        let lines = LogLines()
        let logger = Logger(label: "test") { _ in lines }
        try await ServedLedger.run(logger: logger) { ledger async throws in
            let secret = try #require(try await Self.keys(ledger)["editor"])
            _ = try await ledger.apply(IdempotencyTests.lab, headers: Self.bearer(secret))
            for path in ["/v1/keys", "/nope"] {
                _ = try await ledger.send("GET", path, headers: Self.bearer(secret))
            }
            _ = try await ledger.apply("{", headers: Self.bearer(secret))
            let events = try await ledger.get("/v1/events")
            #expect(events.lines.last?["actor"] == "key/editor")
            let tail = String(secret.suffix(64))
            for text in [
                events.text, try await ledger.get("/v1/audit").text,
                try await ledger.get("/v1/keys").text, try await ledger.get("/metrics").text,
                lines.text.withLock { $0 },
            ] {
                #expect(!text.isEmpty && !text.contains(tail))
            }
        }
    }

    @Test func `a new key is checked`() async throws {
        try await ServedLedger.run { ledger async throws in
            for (body, pointer) in [
                ("{}", "/role"), (#"{"role":"king"}"#, "/role"),
                (#"{"role":"reader","id":"a_b"}"#, "/id"), (#"{"role":"reader","x":1}"#, "/x"),
                (#"{"role":"reader","id":"\#(String(repeating: "k", count: 65))"}"#, "/id"),
            ] {
                #expect(try await ledger.send("POST", "/v1/keys", body).pointers == [pointer])
            }
            let made = try await ledger.send("POST", "/v1/keys", #"{"role":"reader"}"#)
            #expect(made["id"]?.string?.utf8.count == 8)
        }
    }
}

/// Keeps what is logged.
private final class LogLines: LogHandler, Sendable {
    let text = Mutex("")
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) {
        text.withLock { $0 += "\(event.message) \(event.metadata ?? [:])\n" }
    }
}
