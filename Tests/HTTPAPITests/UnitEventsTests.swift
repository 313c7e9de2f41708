import JSON
import Testing

/// Events about units that clients append themselves.
@Suite struct UnitEventsTests {
    private func append(
        _ ledger: ServedLedger, _ type: String, _ data: String, _ more: String = ""
    ) async throws -> Answer {
        try await ledger.send("POST", "/v1/events", #"{"type":"\#(type)","data":\#(data)\#(more)}"#)
    }

    private static let unit = #""function":"f","experiment":"e","run":"r1""#
    private static let weighted =
        #"\#(unit),"variants":["a","b"],\#(ServedLedger.weighted)"#

    @Test(arguments: [
        (#","variant":"a""#, "variant"), (#","h":0.5"#, "h"), (#","definition":2"#, "definition"),
        (#","bucketHash":"00""#, "bucketHash"), (#","nullishBucket":true"#, "nullishBucket"),
        (#","rollout":1"#, "rollout"), (#","x":1"#, "x"),
    ])
    func `a selection is drawn by the ledger, and what is given has to agree`(
        more: String, field: String
    ) async throws {
        try await ServedLedger.run { ledger async throws in
            let refused = try await append(ledger, "VariantSelected", "{\(Self.weighted)\(more)}")
            #expect(refused.status == 422)
            #expect(refused.pointers == ["/data/\(field)"], "\(refused.text)")
            #expect(ledger.log.view.position == 0)
            let agreeing =
                #","variant":"b","h":0.5115343197248876,"definition":1,"nullishBucket":false,"bucketHash":null"#
            let made = try await append(
                ledger, "VariantSelected", "{\(Self.weighted)\(agreeing)}",
                #","stream":"selection/f/e/r1","expectedVersion":"none""#)
            #expect(made.status == 201, "\(made.text)")
            #expect(made["stream"] == "selection/f/e/r1" && made["position"] == 2)
            let again = try await append(ledger, "VariantSelected", "{\(Self.weighted)}")
            #expect(again.status == 409)
            #expect(try await ledger.select("r1")["memoized"] == true)
        }
    }

    @Test func `a selection's data, copied from another ledger, makes the same event`()
        async throws
    {
        var data = JSONValue.null
        try await ServedLedger.run { ledger async throws in
            try await ledger.select("r1")
            data = try #require(try await ledger.events("VariantSelected").first?["data"])
        }
        try await ServedLedger.run { [data] ledger async throws in
            let text = String(decoding: data.encoded, as: UTF8.self)
            let answer = try await append(ledger, "VariantSelected", text)
            #expect(answer.status == 201, "\(answer.text)")
            #expect(try await ledger.events("VariantSelected").first?["data"] == data)
        }
    }

    @Test func `events of one unit can be appended together`() async throws {
        try await ServedLedger.run { ledger async throws in
            let list = #"""
                [{"type":"VariantSelected","data":{\#(Self.weighted)}},
                {"type":"ScoreRecorded","data":{\#(Self.unit),"name":"n","value":1}},
                {"type":"ScoreRecorded","data":{\#(Self.unit),"name":"n","value":2},"expectedVersion":2}]
                """#
            let answer = try await ledger.send("POST", "/v1/events", list)
            #expect(answer.status == 201, "\(answer.text)")
            #expect(answer["events"]?.array?.integers("position") == [2, 3, 4])
            #expect(answer["events"]?.array?.integers("version") == [1, 2, 3])
            #expect(
                answer["events"]?.array?.texts("stream").allSatisfy { $0 == "selection/f/e/r1" }
                    == true)
        }
    }

    @Test func `what code declares and buckets are not appended`() async throws {
        try await ServedLedger.run { ledger async throws in
            for type in ["StepExperimentCreated", "ExperimentDefinitionChanged"] {
                #expect(try await append(ledger, type, "{}").pointers == ["/type"])
            }
            let bucket = #"{\#(Self.unit),"variants":["a"],"strategy":"bucket"}"#
            let answer = try await append(ledger, "VariantSelected", bucket)
            #expect(answer.pointers == ["/data/strategy"])
            #expect(ledger.log.view.position == 0)
        }
    }

    @Test func `a score's variant, cohort and stream have to agree`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await ledger.select("r1")
            let score = #"\#(Self.unit),"name":"n","value":1"#
            for (more, rest, status, pointers) in [
                (#","variant":"a""#, "", 422, ["/data/variant"]),
                (#","definition":2"#, "", 422, ["/data/definition"]),
                (#","cohort":9"#, "", 422, ["/data/cohort"]),
                (#","unattributed":true"#, "", 422, ["/data/unattributed"]),
                (#","x":1"#, "", 422, ["/data/x"]),
                ("", #","stream":"selection/f/e/r2""#, 422, ["/stream"]),
                ("", #","expectedVersion":5"#, 409, []),
            ] as [(String, String, Int, [String])] {
                let answer = try await append(ledger, "ScoreRecorded", "{\(score)\(more)}", rest)
                #expect(answer.status == status, "\(more): \(answer.text)")
                #expect(answer.pointers == pointers, "\(more): \(answer.text)")
            }
            #expect(ledger.log.view.position == 2)
            let id = #","id":"01a1fbd8-3643-73cb-97aa-5690aa1bf26b""#
            let made = try await append(
                ledger, "ScoreRecorded", #"{\#(score),"variant":"b","definition":1}"#,
                #"\#(id),"expectedVersion":1"#)
            #expect(made.status == 201 && made["version"] == 2, "\(made.text)")
            let again = try await append(
                ledger, "ScoreRecorded", #"{\#(score),"variant":"b","definition":1}"#,
                #"\#(id),"expectedVersion":1"#)
            #expect(again.header("Idempotency-Replayed") == "true")
            let unknown = score.replacing("r1", with: "r9")
            #expect(
                try await append(ledger, "ScoreRecorded", "{\(unknown)}").pointers == ["/data/run"])
            let kept = try await append(
                ledger, "ScoreRecorded", #"{\#(unknown),"unattributed":true}"#)
            #expect(kept["stream"] == "unattributed/selection/f/e/r9", "\(kept.text)")
        }
    }

    @Test func `a retraction names its score, and takes back once`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await ledger.select("r1")
            try await ledger.score(#"{\#(Self.unit),"name":"n","value":1}"#)
            let wrong = try await append(
                ledger, "ScoreRetracted", #"{"score":3}"#, #","expectedVersion":7"#)
            #expect(wrong.problem == "version-mismatch" && wrong["actualVersion"] == 2)
            #expect(try await append(ledger, "ScoreRetracted", #"{"score":2}"#).status == 404)
            #expect(try await append(ledger, "ScoreRetracted", "{}").pointers == ["/data/score"])
            let odd = try await append(ledger, "ScoreRetracted", #"{"score":3,"x":1}"#)
            #expect(odd.pointers == ["/data/x"], "\(odd.text)")
            let other = try await append(ledger, "ScoreRetracted", #"{"score":3,"value":2}"#)
            #expect(other.pointers == ["/data/value"], "\(other.text)")
            let made = try await append(
                ledger, "ScoreRetracted", #"{"score":3,"reason":"x"}"#, #","expectedVersion":2"#)
            #expect(made.status == 201 && made["stream"] == "selection/f/e/r1")
            #expect(made["version"] == 3)
            let again = try await append(ledger, "ScoreRetracted", #"{"score":3}"#)
            #expect(again.status == 409)
        }
    }

    @Test func `a change of a rollout table has to change it`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await ledger.select("r1")
            let entry = #""function":"f","experiment":"e","key":"k","variant":"a""#
            let stream = #","stream":"rollout/f/e/k","expectedVersion":"none""#
            let made = try await append(ledger, "RolloutChanged", "{\(entry)}", stream)
            #expect(made.status == 201 && made["version"] == 1, "\(made.text)")
            #expect(try await append(ledger, "RolloutChanged", "{\(entry)}").status == 409)
            let undeclared = entry.replacing("\"a\"", with: "\"c\"")
            #expect(
                try await append(ledger, "RolloutChanged", "{\(undeclared)}").pointers
                    == ["/data/variant"])
            let lying = entry.replacing("\"a\"", with: #""b","previous":"c""#)
            let refused = try await append(ledger, "RolloutChanged", "{\(lying)}")
            #expect(refused.pointers == ["/data/previous"], "\(refused.text)")
            let late = try await append(ledger, "RolloutChanged", "{\(entry)}", stream)
            #expect(late.problem == "version-mismatch")
        }
    }
}
