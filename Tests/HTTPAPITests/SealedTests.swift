import Domain
import EventLog
import JSON
import Postgres
import TestSupport
import Testing

@testable import HTTPAPI

/// Experiments that seal their subjects, over HTTP.
@Suite struct SealedTests {
    static func document(_ id: String, sealed: Bool = true, status: String = "active") -> String {
        """
        {"schemaVersion":1,"kind":"experiment","metadata":{"id":"\(id)","status":"\(status)"},
         "spec":{\(sealed ? #""sealed":true,"# : "")"variants":[{"id":"A","isControl":true},{"id":"B"}],
         "cohorts":[{"index":1,"variants":[{"variant":"A","split":0.5},{"variant":"B","split":0.5}]}]}}
        """
    }

    static func assign(
        _ ledger: ServedLedger, _ id: String, _ subject: String, assign: Bool = true,
        headers: [(String, String)] = []
    ) async throws -> JSONValue {
        let answer = try await ledger.send(
            "POST", "/v1/experiments/\(id)/assignments",
            #"{"subjects":["\#(subject)"],"assign":\#(assign)}"#, headers: headers)
        #expect(answer.status == 200, "\(answer.text)")
        return answer["assignments"]?.array?.first ?? .null
    }

    /// Everything that the feed holds.
    static func feed(_ ledger: ServedLedger) async throws -> [JSONValue] {
        try await ledger.get("/v1/events?limit=10000").lines
    }

    /// The texts of all columns of all rows of all tables, but for PostgreSQL's own.
    static func dump(_ database: TestDatabase) async throws -> String {
        try await onThread {
            let connection = try database.connect()
            defer { connection.close() }
            let tables = try connection.query(
                """
                SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
                 WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
                """)
            return try (0..<tables.count).map { index in
                let table = tables.text(index, 0)
                // Bytes as the texts they may be: escape shows ASCII as it is.
                let columns = try connection.query(
                    """
                    SELECT CASE WHEN atttypid = 'bytea'::regtype
                                THEN format('encode(%I, ''escape'')', attname)
                                ELSE format('%I::text', attname) END
                      FROM pg_attribute
                     WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped
                    """, [.text(table)])
                let list = (0..<columns.count).map { columns.text($0, 0) }.joined(separator: ", ")
                let rows = try connection.query(
                    "SELECT coalesce(string_agg(concat_ws('|', \(list)), E'\\n'), '') FROM \(table)"
                )
                return "\(table)\n\(rows.text(0, 0))\n"
            }.joined()
        }
    }

    @Test func `answers name the subject and the log names a token`() async throws {
        try await ServedLedger.run { ledger async throws in
            #expect(try await ledger.apply(Self.document("SECRET")).status == 200)
            let first = try await Self.assign(ledger, "SECRET", "alice@example.com")
            #expect(first["subject"] == "alice@example.com" && first["reason"] == "NEW")
            let again = try await Self.assign(ledger, "SECRET", "alice@example.com")
            #expect(again["variant"] == first["variant"] && again["reason"] == "EXISTING")
            let read = try await Self.assign(ledger, "SECRET", "alice@example.com", assign: false)
            #expect(read["variant"] == first["variant"])
            let lines = try await Self.feed(ledger)
            let made = try #require(lines.last)
            let token = try #require(made["data"]?["subject"]?.string)
            #expect(token.wholeMatch(of: /sealed-[0-9a-f]{32}/) != nil)
            #expect(made["stream"]?.string == "assignment/SECRET/\(token)")
            #expect(made["data"]?["sealed"]?.string?.isEmpty == false)
            #expect(!"\(lines)".contains("alice"))
            // The draw is the token's, so an auditor can do it again.
            #expect(
                made["data"]?["u"]?.double
                    == drawNumber(experiment: "SECRET", cohort: 1, subject: token))
        }
    }

    @Test func `a read makes no key, and finds nobody who is not there`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.apply(Self.document("SECRET"))
            let read = try await Self.assign(ledger, "SECRET", "nobody", assign: false)
            #expect(read["reason"] == "NOT_ASSIGNED" && read["subject"] == "nobody")
            let keys = try await onThread { [database = ledger.database] in
                try database.texts("SELECT token FROM ledger.subject_keys")
            }
            #expect(keys.isEmpty)
        }
    }

    @Test func `every route that takes a subject finds the same one`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.apply(Self.document("SECRET"))
            _ = try await ledger.apply(Self.document("OPEN", sealed: false))
            let mixed = try await ledger.send(
                "POST", "/v1/assignments",
                #"{"subject":"al/ice","experiments":["secret","open","none"]}"#)
            let answers = try #require(mixed["assignments"]?.array)
            #expect(answers.texts("subject") == ["al/ice", "al/ice", "al/ice"])
            #expect(answers.texts("reason") == ["NEW", "NEW", "NOT_FOUND"])
            let variant = try #require(answers[0]["variant"]?.string)
            let short = try await ledger.send(
                "POST", "/experiment-assignments",
                #"{"experiment_id":"SECRET","subject_ids":["al/ice"]}"#)
            #expect(short["assignments"]?["al/ice"]?.string == variant)
            let context = #"{"context":{"targetingKey":"al/ice"}}"#
            let flag = try await ledger.send(
                "POST", "/ofrep/v1/evaluate/flags/SECRET", context)
            #expect(flag["value"]?.string == variant)
            let flags = try await ledger.send("POST", "/ofrep/v1/evaluate/flags", context)
            #expect(
                flags["flags"]?.array?.first { $0["key"] == "SECRET" }?["value"]?.string == variant)
            let listed = try await ledger.get("/v1/subjects/al%2Fice/assignments").items
            #expect(listed.texts("experiment") == ["OPEN", "SECRET"])
            #expect(listed.texts("subject") == ["al/ice", "al/ice"])
            #expect(listed[1]["variant"]?.string == variant)
            let score = try await ledger.send(
                "POST", "/v1/scores",
                #"{"experiment":"SECRET","subject":"al/ice","name":"n","value":1,"metadata":{"mail":"al/ice"}}"#
            )
            #expect(score.status == 201 && score["variant"]?.string == variant)
            let history = try await ledger.get(
                "/v1/experiments/SECRET/assignments/al%2Fice/history"
            ).items
            #expect(history.texts("type") == ["AssignmentMade", "ScoreRecorded"])
            let recorded = try #require(try await Self.feed(ledger).last)
            #expect(recorded["data"]?["metadata"]?["sealed"]?.string?.isEmpty == false)
            #expect(recorded["data"]?["metadata"]?.object?.count == 1)
            let sealedLines = try await ledger.get("/v1/events?experiment=SECRET&limit=100").text
            #expect(!sealedLines.contains("ice"))
        }
    }

    @Test func `a score that comes again is the same score, with its metadata`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.apply(Self.document("SECRET"))
            _ = try await Self.assign(ledger, "SECRET", "alice")
            func score(_ mail: String) async throws -> Answer {
                try await ledger.send(
                    "POST", "/v1/scores",
                    """
                    {"experiment":"SECRET","subject":"alice","name":"n","value":1,
                     "metadata":{"mail":"\(mail)"},"id":"01a1fbd8-3643-73cb-97aa-5690aa1bf26b"}
                    """)
            }
            let first = try await score("a@example.com")
            let again = try await score("a@example.com")
            #expect(first.status == 201 && again.json == first.json)
            #expect(again.header("Idempotency-Replayed") == "true")
            #expect(try await score("b@example.com").problem == "idempotency-key-reused")
        }
    }

    @Test func `only editors see who is behind a token`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.apply(Self.document("SECRET"))
            _ = try await Self.assign(ledger, "SECRET", "alice")
            let open = try await ledger.get("/v1/experiments/SECRET/assignments").items
            #expect(open.texts("opened") == ["alice"])
            let key = try await ledger.send("POST", "/v1/keys", #"{"role":"assigner"}"#)
            let secret = try #require(key["secret"]?.string)
            let closed = try await ledger.send(
                "GET", "/v1/experiments/SECRET/assignments",
                headers: [("Authorization", "Bearer \(secret)")]
            ).items
            #expect(closed.count == 1 && closed[0]["opened"] == nil)
            #expect(closed.texts("subject") == open.texts("subject"))
            let page = try await ledger.get(
                "/v1/experiments/SECRET/assignments?cursor=\(open.texts("subject")[0])")
            #expect(page.items.isEmpty)
        }
    }

    @Test func `a subject that looks like a token is another than the one it names`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.apply(Self.document("SECRET"))
            _ = try await Self.assign(ledger, "SECRET", "alice")
            let token = try #require(
                try await ledger.get("/v1/experiments/SECRET/assignments").items.texts("subject")
                    .first)
            let read = try await Self.assign(ledger, "SECRET", token, assign: false)
            #expect(read["reason"] == "NOT_ASSIGNED")
            #expect(try await Self.assign(ledger, "SECRET", token)["reason"] == "NEW")
            #expect(try await ledger.send("DELETE", "/v1/subjects/\(token)").status == 200)
            let alice = try await Self.assign(ledger, "SECRET", "alice", assign: false)
            #expect(alice["reason"] == "EXISTING")
        }
    }

    @Test func `an appended event can't name a sealed subject`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.apply(Self.document("SECRET"))
            for (type, data) in [
                ("AssignmentMade", #"{"experiment":"SECRET","subject":"alice"}"#),
                (
                    "ScoreRecorded",
                    #"{"experiment":"SECRET","subject":"alice","name":"n","value":1}"#
                ), ("SubjectErased", #"{"subject":"alice","experiments":[]}"#),
            ] {
                let answer = try await ledger.send(
                    "POST", "/v1/events", #"{"type":"\#(type)","data":\#(data)}"#)
                #expect(answer.status == 422, "\(type): \(answer.text)")
                #expect(answer.pointers == [type == "SubjectErased" ? "/type" : "/data/subject"])
            }
        }
    }

    @Test func `sealing is fixed once subjects may have variants`() async throws {
        try await ServedLedger.run { ledger async throws in
            let draft = Self.document("SECRET", sealed: false, status: "draft")
            #expect(try await ledger.apply(draft).status == 200)
            #expect(try await ledger.apply(Self.document("SECRET")).status == 200)
            let document = try await ledger.get("/v1/experiments/SECRET")
            #expect(document["spec"]?["sealed"] == true)
            #expect(try await ledger.apply(document.text)["events"]?.array?.isEmpty == true)
            let yaml = try await ledger.get("/v1/experiments/SECRET", accept: "application/yaml")
            #expect(yaml.text.contains("sealed: true"))
            #expect(try await ledger.applyYAML(yaml.text)["events"]?.array?.isEmpty == true)
            let unsealed = try await ledger.apply(Self.document("SECRET", sealed: false))
            #expect(unsealed.status == 422 && unsealed.pointers == ["/spec/sealed"])
            try await ledger.send(
                "POST", "/v1/experiments/SECRET/reopen", #"{"to":"draft","reason":"again"}"#)
            let reopened = try await ledger.apply(
                Self.document("SECRET", sealed: false, status: "draft"))
            #expect(reopened.status == 422 && reopened.pointers == ["/spec/sealed"])
        }
    }

    @Test func `a node without keys says so, for sealed subjects alone`() async throws {
        try await ServedLedger.run(hasKeys: false) { ledger async throws in
            _ = try await ledger.apply(Self.document("SECRET"))
            _ = try await ledger.apply(Self.document("OPEN", sealed: false))
            _ = try await Self.assign(ledger, "OPEN", "alice")
            for (method, path, body) in [
                ("POST", "/v1/experiments/SECRET/assignments", #"{"subjects":["alice"]}"#),
                (
                    "POST", "/v1/experiments/SECRET/assignments",
                    #"{"subjects":["alice"],"assign":false}"#
                ),
                ("GET", "/v1/subjects/alice/assignments", nil),
                ("DELETE", "/v1/subjects/alice", nil),
                (
                    "POST", "/v1/scores",
                    #"{"experiment":"SECRET","subject":"alice","name":"n","value":1}"#
                ),
            ] as [(String, String, String?)] {
                let answer = try await ledger.send(method, path, body)
                #expect(answer.status == 503, "\(method) \(path): \(answer.text)")
                #expect(answer.problem == "sealed-subjects-unavailable")
            }
        }
    }
}
