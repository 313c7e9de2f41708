import JSON
import Testing

@Suite struct AssignmentsTests {
    private static let path = "/v1/experiments/hero-nov-2024"

    private func status(
        _ yaml: String, _ ledger: ServedLedger
    ) async throws {
        #expect(try await ledger.applyYAML(yaml).status == 200)
    }

    @Test(arguments: [true, false])
    func `what a subject gets depends on the status`(assign: Bool) async throws {
        try await ServedLedger.run { ledger async throws in
            func ask(_ subjects: String = #"["a"]"#) async throws -> [JSONValue] {
                let answer = try await ledger.send(
                    "POST", "\(Self.path)/assignments",
                    #"{"subjects":\#(subjects),"assign":\#(assign)}"#)
                #expect(answer.status == 200)
                return answer["assignments"]?.array ?? []
            }
            try await status(Examples.draft.replacing("treatment-b", with: "x"), ledger)
            #expect(try await ask().texts("reason") == ["NOT_ACTIVE"])
            try await ledger.send("POST", "\(Self.path)/activate")
            #expect(try await ask().texts("reason") == [assign ? "NEW" : "NOT_ASSIGNED"])
            try await ledger.send("POST", "\(Self.path)/assignments", #"{"subjects":["a"]}"#)
            #expect(try await ask().texts("reason") == ["EXISTING"])
            let given = try #require(try await ask().texts("variant").first)
            try await ledger.send(
                "POST", "\(Self.path)/cohorts",
                #"{"variants":[{"variant":"control","split":0},{"variant":"treatment-a","split":1}]}"#
            )
            #expect(try await ask().texts("variant") == [given])
            try await ledger.send("POST", "\(Self.path)/winner", #"{"variant":"treatment-a"}"#)
            let position = ledger.log.view.position
            let won = try await ask(#"["a","",\#(assign ? "\"\\u0000\"" : "\"b\"")]"#)
            #expect(won.texts("reason") == ["WINNER", "WINNER", "WINNER"])
            #expect(won.texts("variant") == Array(repeating: "TREATMENT-A", count: 3))
            #expect(ledger.log.view.position == position)
            try await ledger.send("POST", "\(Self.path)/end", #"{"reason":"success"}"#)
            #expect(try await ask().texts("reason") == ["ENDED"])
            try await ledger.send("POST", "\(Self.path)/archive")
            #expect(try await ask().texts("reason") == ["ARCHIVED"])
            #expect(try await ask().texts("variant") == [])
        }
    }

    @Test func `reading assigns nobody`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await status(Examples.active, ledger)
            let position = ledger.log.view.position
            for body in [#"{"subjects":["a","\u0000",""],"assign":false}"#] {
                let answer = try await ledger.send("POST", "\(Self.path)/assignments", body)
                #expect(
                    answer["assignments"]?.array?.texts("reason")
                        == ["NOT_ASSIGNED", "NOT_ASSIGNED", "NOT_ASSIGNED"])
            }
            #expect(ledger.log.view.position == position)
        }
    }

    @Test func `batches answer in the order asked for, both ways`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await status(Examples.active, ledger)
            try await status(Examples.draft.replacing("hero-nov-2024", with: "other"), ledger)
            let subjects = (0..<500).map { "user_\($0 % 400)" }
            let list = JSONValue.array(subjects.map { .string($0) }).encoded
            let many = try await ledger.send(
                "POST", "\(Self.path)/assignments",
                #"{"subjects":\#(String(decoding: list, as: UTF8.self))}"#)
            let answers = try #require(many["assignments"]?.array)
            #expect(answers.texts("subject") == subjects)
            #expect(answers.texts("reason").filter { $0 == "NEW" }.count == 400)
            #expect(Set(answers.texts("variant")) == ["CONTROL", "TREATMENT-A", "TREATMENT-B"])
            for assign in [true, false] {
                let one = try await ledger.send(
                    "POST", "/v1/assignments",
                    """
                    {"subject":"user_7","experiments":["none","HERO-nov-2024","other"],"assign":\(assign)}
                    """)
                let reasons = one["assignments"]?.array?.texts("reason")
                #expect(reasons == ["NOT_FOUND", "EXISTING", "NOT_ACTIVE"])
                #expect(one["assignments"]?.array?[1]["variant"] == answers[7]["variant"])
            }
        }
    }

    @Test func `the public shape maps subjects to variants`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await status(Examples.active, ledger)
            let body = #"{"experiment_id":"hero-nov-2024","subject_ids":["b","a","b"]}"#
            let answer = try await ledger.send("POST", "/experiment-assignments", body)
            let members = try #require(answer["assignments"]?.object)
            #expect(members.map(\.key) == ["b", "a"])
            #expect(members.allSatisfy { $0.value.string != nil })
            #expect(
                try await ledger.send("POST", "/experiment-assignments", body).text == answer.text)
            let bad = try await ledger.send(
                "POST", "/experiment-assignments",
                #"{"experiment_id":"hero-nov-2024","subject_ids":["a",""]}"#)
            #expect(bad.pointers == ["/subject_ids/1"])
            let odd = try await ledger.send(
                "POST", "/experiment-assignments",
                #"{"experiment_id":"hero-nov-2024","subject_ids":["a",1]}"#)
            #expect(odd.pointers == ["/subject_ids/1"])
        }
    }

    @Test func `a fault in a list of experiments has its pointer`() async throws {
        try await ServedLedger.run { ledger async throws in
            let answer = try await ledger.send(
                "POST", "/v1/assignments", #"{"subject":"a","experiments":["a","b c",1]}"#)
            #expect(answer.pointers == ["/experiments/1", "/experiments/2"])
        }
    }

    @Test func `asOf reads as of a position and of a time`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await status(Examples.active, ledger)
            let before = ledger.log.view.position
            try await ledger.send("POST", "\(Self.path)/assignments", #"{"subjects":["a"]}"#)
            let given = ledger.log.view.position
            let time = try #require(try await ledger.get("/v1/log")["recordedAt"]?.string)
            try await ledger.send("POST", "\(Self.path)/end", #"{"reason":"other"}"#)

            for (asOf, status, reason, count) in [
                ("\(before)", "active", "NOT_ASSIGNED", 0), ("\(given)", "active", "EXISTING", 1),
                (time, "active", "EXISTING", 1), ("\(given + 1)", "ended", "ENDED", 1),
                ("2999-01-01T00:00:00+02:00", "ended", "ENDED", 1),
            ] {
                let experiment = try await ledger.get("\(Self.path)?asOf=\(asOf)")
                #expect(experiment["metadata"]?["status"] == .string(status), "\(asOf)")
                let read = try await ledger.send(
                    "POST", "\(Self.path)/assignments?asOf=\(asOf)",
                    #"{"subjects":["a"],"assign":false}"#)
                #expect(read["assignments"]?.array?.texts("reason") == [reason], "\(asOf)")
                for path in ["\(Self.path)/assignments", "/v1/subjects/a/assignments"] {
                    #expect(try await ledger.get("\(path)?asOf=\(asOf)").items.count == count)
                }
            }
            #expect(try await ledger.get("\(Self.path)?asOf=0").status == 404)
            #expect(try await ledger.get("\(Self.path)?asOf=1999-01-01T00:00:00Z").status == 404)
            for odd in ["-1", "\(given + 2)", "yesterday"] {
                let answer = try await ledger.get("\(Self.path)?asOf=\(odd)")
                #expect(answer.problem == "malformed-parameter", "\(odd)")
            }
            let assigning = try await ledger.send(
                "POST", "\(Self.path)/assignments?asOf=1", #"{"subjects":["a"]}"#)
            #expect(assigning.problem == "malformed-parameter")
        }
    }

    @Test(arguments: [
        "a/b", "100%", "%2F", "a b", "🧪é", "\"q\"", "\\", "?x=1&y", "#", ".", "..", "+", "e\u{301}",
        "é",
        "'; --", "\n", "~0~1",
    ])
    func `a subject is the same in bodies, paths, streams and answers`(
        subject: String
    ) async throws {
        try await ServedLedger.run { ledger async throws in
            try await status(Examples.active, ledger)
            let text = String(decoding: JSONValue.string(subject).encoded, as: UTF8.self)
            let made = try await ledger.send(
                "POST", "\(Self.path)/assignments", #"{"subjects":[\#(text)]}"#)
            let answer = try #require(made["assignments"]?.array?.first)
            #expect(answer["subject"]?.string?.utf8.elementsEqual(subject.utf8) == true)
            let read = try await ledger.get("/v1/subjects/\(subject.part)/assignments")
            #expect(read.items.texts("subject").map { Array($0.utf8) } == [Array(subject.utf8)])
            let encoded = subject.replacing("%", with: "%25").replacing("/", with: "%2F")
            let stream = "assignment/HERO-NOV-2024/\(encoded)"
            let events = try await ledger.get("/v1/events?stream=\(stream.part)")
            #expect(events.lines.texts("stream").map { Array($0.utf8) } == [Array(stream.utf8)])
            #expect(events.lines.first?["data"]?["subject"] == .string(subject))
            let listed = try await ledger.get("\(Self.path)/assignments")
            #expect(listed.items.texts("subject") == [subject])
            let next = try await ledger.get("\(Self.path)/assignments?cursor=\(subject.part)")
            #expect(next.items.isEmpty)
        }
    }
}
