import Domain
import EventLog
import JSON
import Logging
import Postgres
import Projections
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import HTTPAPI

/// Erasing subjects, over HTTP.
@Suite struct ErasureTests {
    private let alice = "alice.of.wonderland@example.com"

    /// Everything that may be asked of a sealed subject, each with an idempotency key.
    private func use(_ ledger: ServedLedger, _ subject: String) async throws {
        for (number, (path, body)) in [
            ("/v1/experiments/SECRET/assignments", #"{"subjects":["\#(subject)"]}"#),
            ("/v1/experiments/DONE/assignments", #"{"subjects":["\#(subject)"]}"#),
            ("/v1/assignments", #"{"subject":"\#(subject)","experiments":["SECRET","OTHER"]}"#),
            (
                "/experiment-assignments",
                #"{"experiment_id":"SECRET","subject_ids":["\#(subject)","bob"]}"#
            ), ("/ofrep/v1/evaluate/flags", #"{"context":{"targetingKey":"\#(subject)"}}"#),
            (
                "/v1/scores",
                """
                [{"experiment":"SECRET","subject":"\(subject)","name":"n","value":1,
                  "metadata":{"mail":"\(subject)"},"id":"01a1fbd8-3643-73cb-97aa-5690aa1bf26b"},
                 {"experiment":"LATER","subject":"\(subject)","name":"n","value":true,
                  "onUnknownUnit":"quarantine"}]
                """
            ),
        ].enumerated() {
            let answer = try await ledger.send(
                "POST", path, body, headers: [("Idempotency-Key", "\(subject)-\(number)")])
            #expect(answer.status < 300, "\(path): \(answer.text)")
        }
        _ = try await ledger.get("/v1/subjects/\(subject.part)/assignments")
        _ = try await ledger.get("/v1/experiments/SECRET/assignments/\(subject.part)/history")
        let refused = try await ledger.send(
            "POST", "/v1/scores",
            #"{"experiment":"OTHER","subject":"\#(subject)","name":"n","value":1,"variant":"NO"}"#)
        #expect(refused.status == 422 && !refused.text.contains(subject))
    }

    private func apply(_ ledger: ServedLedger) async throws {
        for id in ["SECRET", "OTHER", "LATER", "DONE"] {
            let status = id == "LATER" ? "draft" : "active"
            let answer = try await ledger.apply(SealedTests.document(id, status: status))
            #expect(answer.status == 200, "\(answer.text)")
        }
        try await ledger.send(
            "POST", "/v1/experiments/DONE/winner", #"{"variant":"A"}"#)
    }

    @Test func `after an erasure no byte of the subject is left anywhere`() async throws {
        let output = LoggedText()
        let logger = Logger(label: "test") { _ in output }
        try await ServedLedger.run(projecting: true, logger: logger) { ledger async throws in
            try await apply(ledger)
            try await use(ledger, alice)
            let before = try await SealedTests.dump(ledger.database)
            // The scan finds what is there to be found.
            #expect(before.contains(alice))
            #expect(before.contains("bob"))
            let erased = try await ledger.send(
                "DELETE", "/v1/subjects/\(alice.part)?reason=request%204711")
            #expect(erased.status == 200, "\(erased.text)")
            #expect(
                erased["experiments"]?.array?.compactMap(\.string) == ["LATER", "OTHER", "SECRET"])
            #expect(erased["plainExperiments"]?.array == [])
            let results = try await ledger.get(
                "/v1/experiments/SECRET/results?minPosition=\(ledger.log.view.position)")
            #expect(results.status == 200)
            let after = try await SealedTests.dump(ledger.database)
            #expect(!after.contains("wonderland"))
            #expect(!"\(try await SealedTests.feed(ledger))".contains("wonderland"))
            #expect(!(try await ledger.get("/v1/audit?limit=1000").text.contains("wonderland")))
            let token = try #require(erased["token"]?.string)
            let keys = try await onThread { [database = ledger.database] in
                try database.texts("SELECT token FROM ledger.subject_keys")
            }
            #expect(!keys.contains(token) && keys.count == 1)
            // The last event says so.
            let event = try #require(try await SealedTests.feed(ledger).last)
            #expect(event["type"] == "SubjectErased")
            #expect(event["stream"]?.string == "subject/\(token)")
            #expect(event["data"]?["reason"] == "request 4711")
            #expect(event["position"]?.integer == erased["position"]?.integer)
        }
        let logged = output.text
        #expect(logged.contains("/v1/subjects/{subject}") || logged.contains(":subject"))
        #expect(!logged.contains("wonderland"))
    }

    @Test func `an erased subject comes back as a new one`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await apply(ledger)
            _ = try await SealedTests.assign(ledger, "SECRET", alice)
            let first = try await ledger.send("DELETE", "/v1/subjects/\(alice.part)")
            let read = try await SealedTests.assign(ledger, "SECRET", alice, assign: false)
            #expect(read["reason"] == "NOT_ASSIGNED")
            #expect(try await SealedTests.assign(ledger, "SECRET", alice)["reason"] == "NEW")
            let opened = try await ledger.get("/v1/experiments/SECRET/assignments").items
            #expect(opened.count == 2)
            #expect(Set(opened.map { $0["opened"]?.string }) == [nil, alice])
            let second = try await ledger.send("DELETE", "/v1/subjects/\(alice.part)")
            #expect(second.status == 200 && second["token"] != first["token"])
        }
    }

    @Test func `what is in plain text is named, and nothing sealed is not found`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await apply(ledger)
            _ = try await ledger.apply(SealedTests.document("OPEN", sealed: false))
            _ = try await SealedTests.assign(ledger, "OPEN", alice)
            let missing = try await ledger.send("DELETE", "/v1/subjects/\(alice.part)")
            #expect(missing.status == 404 && missing.detail.contains("OPEN"))
            _ = try await SealedTests.assign(ledger, "SECRET", alice)
            let erased = try await ledger.send("DELETE", "/v1/subjects/\(alice.part)")
            #expect(erased["plainExperiments"]?.array?.compactMap(\.string) == ["OPEN"])
            #expect(try await ledger.send("DELETE", "/v1/subjects/\(alice.part)").status == 404)
            let invalid = try await ledger.send("DELETE", "/v1/subjects/")
            #expect(invalid.status == 404)
        }
    }

    @Test func `the same request to erase gets the first answer again`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await apply(ledger)
            _ = try await SealedTests.assign(ledger, "SECRET", alice)
            let path = "/v1/subjects/\(alice.part)"
            let key = [("Idempotency-Key", "erase-1")]
            let first = try await ledger.send("DELETE", path, headers: key)
            #expect(first.status == 200)
            let again = try await ledger.send("DELETE", path, headers: key)
            #expect(again.status == 200 && again.json == first.json)
            #expect(again.header("Idempotency-Replayed") == "true")
            let other = try await ledger.send("DELETE", path + "?reason=other", headers: key)
            #expect(other.problem == "idempotency-key-reused")
        }
    }

    @Test func `a reason must not name the subject, and only admins erase`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await apply(ledger)
            _ = try await SealedTests.assign(ledger, "SECRET", "alice")
            let named = try await ledger.send("DELETE", "/v1/subjects/alice?reason=for%20alice")
            #expect(named.status == 422 && named.pointers == ["/reason"])
            for header in ["Idempotency-Key", "X-Correlation-ID"] {
                let named = try await ledger.send(
                    "DELETE", "/v1/subjects/alice", headers: [(header, "erase-alice")])
                #expect(named.status == 422 && named.pointers == ["/\(header)"])
            }
            let key = try await ledger.send("POST", "/v1/keys", #"{"role":"editor"}"#)
            let secret = try #require(key["secret"]?.string)
            let editor = try await ledger.send(
                "DELETE", "/v1/subjects/alice", headers: [("Authorization", "Bearer \(secret)")])
            #expect(editor.status == 403)
            let read = try await SealedTests.assign(ledger, "SECRET", "alice", assign: false)
            #expect(read["reason"] == "EXISTING")
        }
    }
}

/// Keeps whatever is logged, at any level.
private final class LoggedText: LogHandler {
    private let contents = Mutex("")

    var text: String { contents.withLock { $0 } }

    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) {
        contents.withLock { $0 += "\(event.message) \(event.metadata ?? [:])\n" }
    }
}

/// Several nodes on one database.
@Suite struct ErasureOnNodesTests {
    @Test func `a subject that one node erases is forgotten by all`() async throws {
        try await ServedLedger.nodes(3) { nodes async throws in
            let applied = try await nodes[0].apply(SealedTests.document("SECRET"))
            #expect(applied.status == 200)
            for (number, node) in nodes.enumerated() {
                let first = try await SealedTests.assign(node, "SECRET", "alice-\(number)")
                #expect(first["reason"] == "NEW")
            }
            func read(_ subject: String) async throws -> [String?] {
                var reasons: [String?] = []
                for node in nodes {
                    await node.log.view.waitForCommit(
                        beyond: (nodes.map(\.log.view.position).max() ?? 1) - 1)
                    reasons.append(
                        try await SealedTests.assign(node, "SECRET", subject, assign: false)[
                            "reason"]?.string)
                }
                return reasons
            }
            // All remember the key from now on.
            for number in 0..<3 {
                #expect(
                    try await read("alice-\(number)") == ["EXISTING", "EXISTING", "EXISTING"])
            }
            for (number, node) in nodes.enumerated() {
                let erased = try await node.send("DELETE", "/v1/subjects/alice-\(number)")
                #expect(erased.status == 200, "\(erased.text)")
                #expect(
                    try await read("alice-\(number)")
                        == ["NOT_ASSIGNED", "NOT_ASSIGNED", "NOT_ASSIGNED"])
            }
        }
    }
}
