import JSON
import Testing

@Suite struct ScoresTests {
    /// An active experiment with subjects `u1` and `u2`, and run `r1` of function `f` in `e`.
    private func prepare(_ ledger: ServedLedger) async throws {
        #expect(try await ledger.applyYAML(Examples.active).status == 200)
        try await ledger.send(
            "POST", "/v1/experiments/hero-nov-2024/assignments", #"{"subjects":["u1","u2"]}"#)
        try await ledger.select("r1", #""strategy":"custom","variant":"a""#)
    }

    private static func subject(_ more: String = #""name":"n","value":1"#) -> String {
        #"{"experiment":"hero-nov-2024","subject":"u1",\#(more)}"#
    }

    private static func run(_ more: String = #""name":"n","value":1"#) -> String {
        #"{"function":"f","experiment":"e","run":"r1",\#(more)}"#
    }

    // MARK: Shapes

    @Test func `one score, a list and lines are recorded in the order sent`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await prepare(ledger)
            let start = ledger.log.view.position
            let one = try await ledger.score(Self.run())
            #expect(one.status == 201)
            #expect(one["position"]?.integer == start + 1 && one["variant"] == "a")
            #expect(one["stream"] == "selection/f/e/r1" && one["version"] == 2)
            let list = try await ledger.score("[\(Self.subject()),\(Self.run())]")
            #expect(list["scores"]?.array?.integers("position") == [start + 2, start + 3])
            #expect(list["scores"]?.array?.integers("version") == [2, 3])
            #expect(list["position"]?.integer == start + 3)
            let single = try await ledger.score("[\(Self.run())]")
            #expect(single["scores"]?.array?.count == 1)
            let lines = try await ledger.score(
                "\(Self.subject())\r\n\n\(Self.run())\n",
                headers: [("Content-Type", "application/x-ndjson")])
            #expect(lines["scores"]?.array?.integers("version") == [3, 5])
            #expect(try await ledger.score("[]").status == 400)
        }
    }

    @Test func `an event keeps all that a score says`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await prepare(ledger)
            let times = #""occurredAt":"2020-01-02T03:04:05+01:00""#
            let more =
                #""name":"é ☕","value":true,"stepId":"s","metadata":{"z":1,"a":[2.50]},\#(times)"#
            #expect(try await ledger.score(Self.run(more)).status == 201)
            let data = try await ledger.events("ScoreRecorded").last?["data"]
            #expect(
                data.map { String(decoding: $0.encoded, as: UTF8.self) } == """
                    {"function":"f","experiment":"e","run":"r1","variant":"a","definition":1,\
                    "name":"é ☕","value":true,"occurredAt":"2020-01-02T02:04:05.000000Z",\
                    "stepId":"s","metadata":{"z":1,"a":[2.50]}}
                    """)
            #expect(try await ledger.score(Self.subject()).status == 201)
            let event = try #require(try await ledger.events("ScoreRecorded").last)
            #expect(event.at("data", "cohort") == 2 && event.at("data", "function") == nil)
            #expect(event.at("data", "occurredAt") == event["recordedAt"])
        }
    }

    // MARK: Whose

    @Test func `a score is credited to the variant its unit has, and to no other`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await prepare(ledger)
            let given = try await ledger.get("/v1/subjects/u1/assignments").items.texts("variant")[
                0]
            let right = Self.subject(
                #""name":"n","value":1,"variant":\#(given.lowercased().quoted)"#)
            #expect(try await ledger.score(right)["variant"] == .string(given))
            let position = ledger.log.view.position
            for (body, pointers) in [
                (Self.subject(#""name":"n","value":1,"variant":"none""#), ["/variant"]),
                (Self.run(#""name":"n","value":1,"variant":"b""#), ["/variant"]),
                // Names of step experiments are exact.
                (Self.run(#""name":"n","value":1,"variant":"A""#), ["/variant"]),
                (Self.run().replacing("r1", with: "r2"), ["/run"]),
                (Self.subject().replacing("u1", with: "u9"), ["/subject"]),
                (Self.subject().replacing("hero", with: "zero"), ["/experiment"]),
                (Self.run().replacing("\"e\"", with: "\"E\""), ["/experiment"]),
                (Self.run().replacing("\"f\"", with: "\"g\""), ["/experiment"]),
                (#"{"experiment":"e","name":"n","value":1}"#, ["/subject"]),
            ] {
                let answer = try await ledger.score(body)
                #expect(answer.status == 422)
                #expect(answer.pointers == pointers, "\(body): \(answer.text)")
                let list = try await ledger.score("[\(body)]")
                #expect(list.pointers == pointers.map { "/0\($0)" }, "\(list.text)")
                let last = try await ledger.score("[\(Self.run()),\(body)]")
                #expect(last.pointers == pointers.map { "/1\($0)" }, "\(last.text)")
            }
            #expect(ledger.log.view.position == position)
        }
    }

    @Test func `a unit that another experiment knows is unknown to this one`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await prepare(ledger)
            try await ledger.select("r2", experiment: "other")
            try await ledger.select("r2", function: "g")
            let answer = try await ledger.score(Self.run().replacing("r1", with: "r2"))
            #expect(answer.pointers == ["/run"])
        }
    }

    @Test func `a score of an unknown unit is kept unattributed where the request says so`()
        async throws
    {
        try await ServedLedger.run { ledger async throws in
            try await prepare(ledger)
            let body = Self.run(#""name":"n","value":1,"onUnknownUnit":"quarantine""#)
            #expect(try await ledger.score(body)["variant"] == "a")
            let unknown = body.replacing("r1", with: "late")
            let first = try await ledger.score(unknown)
            #expect(first["variant"] == .null && first["unattributed"] == true)
            #expect(first["stream"] == "unattributed/selection/f/e/late" && first["version"] == 1)
            #expect(try await ledger.score(unknown)["version"] == 2)
            let named = try await ledger.score(
                unknown.replacing("\"value\"", with: "\"variant\":\"a\",\"value\""))
            #expect(named.pointers == ["/variant"])
            let nowhere = try await ledger.score(unknown.replacing("\"e\"", with: "\"no\""))
            #expect(nowhere.pointers == ["/experiment"])
            let odd = try await ledger.score(unknown.replacing("quarantine", with: "keep"))
            #expect(odd.pointers == ["/onUnknownUnit"])
            // A variant that comes later does not claim it.
            try await ledger.select("late", #""strategy":"custom","variant":"b""#)
            #expect(try await ledger.score(unknown)["variant"] == "b")
            let history = try await ledger.get(
                "/v1/functions/f/experiments/e/selections/late/history")
            #expect(
                history.items.texts("type") == [
                    "ScoreRecorded", "ScoreRecorded", "VariantSelected", "ScoreRecorded",
                ])
            let taken = try await ledger.send(
                "POST", "/v1/scores/retractions",
                #"{"position":\#(first["position"]?.integer ?? 0)}"#)
            #expect(taken["stream"] == "unattributed/selection/f/e/late" && taken["version"] == 3)
        }
    }

    // MARK: Names and values

    @Test(arguments: [
        (#""name":"n","value":"1""#, ["/value"]), (#""name":"n","value":{}"#, ["/value"]),
        (#""name":"n","value":[1]"#, ["/value"]), (#""name":"n","value":null"#, ["/value"]),
        (#""name":"n""#, ["/value"]), (#""name":"n","value":1e999"#, ["/value"]),
        (#""name":"n","value":-1e999"#, ["/value"]), (#""value":1"#, ["/name"]),
        (#""name":"","value":1"#, ["/name"]), (#""name":" \u00a0","value":1"#, ["/name"]),
        (#""name":"a\u0007b","value":1"#, ["/name"]), (#""name":"a\u0085b","value":1"#, ["/name"]),
        (#""name":"a\nb","value":1"#, ["/name"]), (#""name":"it's","value":1"#, ["/name"]),
        (#""name":"\#(String(repeating: "n", count: 129))","value":1"#, ["/name"]),
        (#""name":"\#(String(repeating: "é", count: 65))","value":1"#, ["/name"]),
        (#""name":"it's","value":"x""#, ["/name", "/value"]),
        (#""name":"n","value":1,"occurredAt":"yesterday""#, ["/occurredAt"]),
        (#""name":"n","value":1,"metadata":[]"#, ["/metadata"]),
        (
            #""name":"n","value":1,"metadata":{"m":"\#(String(repeating: "m", count: 4_096))"}"#,
            ["/metadata"]
        ),
        (#""name":"n","value":1,"id":"x""#, ["/id"]),
        (#""name":"n","value":1,"nmae":1"#, ["/nmae"]),
        (#""name":"n","value":1,"subject":"u1""#, ["/subject"]),
    ])
    func `a score that breaks a rule is refused with all that come with it`(
        more: String, pointers: [String]
    ) async throws {
        try await ServedLedger.run { ledger async throws in
            try await prepare(ledger)
            let position = ledger.log.view.position
            let one = try await ledger.score(Self.run(more))
            #expect(one.status == 422)
            #expect(one.pointers == pointers, "\(one.text)")
            let list = try await ledger.score("[\(Self.run()),\(Self.run(more)),\(Self.run())]")
            #expect(list.pointers == pointers.map { "/1\($0)" }, "\(list.text)")
            #expect(ledger.log.view.position == position)
        }
    }

    @Test func `numbers JSON does not have are no bodies`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await prepare(ledger)
            for value in ["NaN", "Infinity", "-Infinity", ".5", "01"] {
                let answer = try await ledger.score(Self.run(#""name":"n","value":\#(value)"#))
                #expect(answer.problem == "malformed-request", "\(value)")
            }
        }
    }

    @Test func `a value comes back as the shortest form of the same number`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await prepare(ledger)
            for (value, kept) in [
                ("1.50", "1.5"), ("-0", "-0"), ("1E3", "1000"), ("5e-324", "5e-324"),
                ("0.1", "0.1"), ("false", "false"),
                ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ] {
                let answer = try await ledger.score(Self.run(#""name":"n","value":\#(value)"#))
                #expect(answer.status == 201, "\(answer.text)")
                let event = try await ledger.events("ScoreRecorded").last
                let data = event?.at("data", "value").map {
                    String(decoding: $0.encoded, as: UTF8.self)
                }
                #expect(Double(data ?? "") == Double(kept) || data == kept, "\(value)")
            }
            let longest = String(repeating: "n", count: 128)
            let answer = try await ledger.score(Self.run(#""name":"\#(longest)","value":1"#))
            #expect(answer.status == 201)
        }
    }

    // MARK: Once

    @Test func `a score that brings its own ID is recorded once`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await prepare(ledger)
            let id = "01a1fbd8-3643-73cb-97aa-5690aa1bf26b"
            let body = Self.run(#""name":"n","value":1,"id":"\#(id)""#)
            let first = try await ledger.score(body)
            #expect(first["id"] == .string(id))
            let second = try await ledger.score(body)
            #expect(second.status == 201 && second.text == first.text)
            #expect(second.header("Idempotency-Replayed") == "true")
            let both = try await ledger.score("[\(body),\(Self.run())]")
            #expect(both["scores"]?.array?[0]["position"] == first["position"])
            #expect(both["scores"]?.array?[0]["variant"] == "a")
            #expect(both.header("Idempotency-Replayed") == nil)
            for other in [
                Self.run(#""name":"n","value":2,"id":"\#(id)""#),
                Self.run(#""name":"m","value":1,"id":"\#(id)""#),
                Self.subject(#""name":"n","value":1,"id":"\#(id)""#),
            ] {
                let answer = try await ledger.score(other)
                #expect(answer.status == 422 && answer.problem == "idempotency-key-reused")
            }
            #expect(try await ledger.events("ScoreRecorded").count == 2)
        }
    }

    @Test(arguments: [
        ("/v1/scores", run(), run(#""name":"m","value":1"#)),
        ("/v1/scores", "[\(run()),\(subject())]", "[\(run())]"),
        ("/runs/r1/scores", #"[{"name":"n","value":1}]"#, #"[{"name":"n","value":2}]"#),
        ("/v1/scores/retractions", #"{"position":15}"#, #"{"position":15,"reason":"x"}"#),
    ])
    func `a write with an idempotency key is done once`(
        path: String, body: String, other: String
    ) async throws {
        try await ServedLedger.run { ledger async throws in
            try await prepare(ledger)
            let score = try #require(try await ledger.score(Self.run())["position"]?.integer)
            let body = body.replacing("15", with: "\(score)")
            let headers = [("Idempotency-Key", "k")]
            let first = try await ledger.send("POST", path, body, headers: headers)
            #expect((200...201).contains(first.status), "\(first.text)")
            let position = ledger.log.view.position
            let second = try await ledger.send("POST", path, body, headers: headers)
            #expect(second.status == first.status && second.text == first.text)
            #expect(second.header("Idempotency-Replayed") == "true")
            let changed = try await ledger.send("POST", path, other, headers: headers)
            #expect(changed.problem == "idempotency-key-reused")
            #expect(ledger.log.view.position == position)
        }
    }

    // MARK: Taking back

    @Test(arguments: [true, false])
    func `a score is taken back once`(byID: Bool) async throws {
        try await ServedLedger.run { ledger async throws in
            try await prepare(ledger)
            let own = "01a1fbd8-3643-73cb-97aa-5690aa1bf26b"
            for id in [nil, own] {
                let more = id.map { #","id":"\#($0)""# } ?? ""
                let score = try await ledger.score(Self.subject(#""name":"n","value":1\#(more)"#))
                let position = try #require(score["position"]?.integer)
                let name =
                    byID ? #""id":"\#(score["id"]?.string ?? "")""# : "\"position\":\(position)"
                let body = "{\(name),\"reason\":\"a test\"}"
                let first = try await ledger.send("POST", "/v1/scores/retractions", body)
                #expect(first.status == 200, "\(first.text)")
                #expect(first["score"]?.integer == position && first["retracted"] == true)
                #expect(first["position"]?.integer == position + 1)
                let again = try await ledger.send("POST", "/v1/scores/retractions", body)
                #expect(again.status == 200 && again["position"] == nil)
                #expect(again["retracted"] == true)
                #expect(ledger.log.view.position == position + 1)
                let event = try #require(try await ledger.events("ScoreRetracted").last)
                #expect(event["stream"] == score["stream"])
                #expect(event.at("data", "reason") == "a test")
            }
            let path = "/v1/experiments/hero-nov-2024/assignments/u1/history"
            let history = try await ledger.get(path)
            #expect(
                history.items.texts("type") == [
                    "AssignmentMade", "ScoreRecorded", "ScoreRetracted", "ScoreRecorded",
                    "ScoreRetracted",
                ])
            #expect(history.items[2]["before"] == history.items[1]["after"])
            #expect(history.items[2]["after"] == .null)
            let page = try await ledger.get("\(path)?limit=2")
            let next = try #require(page["next"]?.string)
            let rest = try await ledger.get("\(path)?cursor=\(next)")
            #expect(page.items + rest.items == history.items)
            #expect(try await ledger.get(path, accept: "application/yaml").status == 200)
        }
    }

    @Test func `only a score can be taken back`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await prepare(ledger)
            let head = ledger.log.view.position
            for (body, status, pointers) in [
                (#"{"position":1}"#, 404, []), (#"{"position":\#(head + 1)}"#, 404, []),
                (#"{"position":-1}"#, 404, []),
                (#"{"id":"01a1fbd8-3643-73cb-97aa-5690aa1bf26b"}"#, 404, []),
                (#"{"id":"ffffffff-ffff-ffff-ffff-ffffffffffff"}"#, 404, []),
                ("{}", 422, ["/position"]), (#"{"id":"x"}"#, 422, ["/id"]),
                (
                    #"{"position":1,"id":"01a1fbd8-3643-73cb-97aa-5690aa1bf26b"}"#, 422,
                    ["/position"]
                ),
                (#"{"position":"x"}"#, 422, ["/position"]), (#"{"score":1}"#, 422, ["/score"]),
            ] as [(String, Int, [String])] {
                let answer = try await ledger.send("POST", "/v1/scores/retractions", body)
                #expect(answer.status == status, "\(body): \(answer.text)")
                #expect(answer.pointers == pointers, "\(body): \(answer.text)")
            }
            #expect(ledger.log.view.position == head)
        }
    }

    // MARK: The shape that names only the run

    @Test func `the public shape scores a run in the experiments it took part in`() async throws {
        try await ServedLedger.run { ledger async throws in
            func send(_ body: String, run: String = "r1") async throws -> Answer {
                try await ledger.send("POST", "/runs/\(run)/scores", body)
            }
            try await prepare(ledger)
            let one = try await send(
                #"[{"name":"n","value":1,"step_id":"s"},{"name":"m","value":true}]"#)
            #expect(one.status == 201)
            #expect(one["scores"]?.array?.texts("variant") == ["a", "a"])
            #expect(try await ledger.events("ScoreRecorded").first?.at("data", "stepId") == "s")
            try await ledger.select("r1", #""strategy":"custom","variant":"b""#, experiment: "x")
            let position = ledger.log.view.position
            for (body, pointers) in [
                (#"[{"name":"n","value":1}]"#, ["/0/experiment"]),
                (#"[{"name":"n","value":1,"experiment":{"id":"y"}}]"#, ["/0/experiment/id"]),
                (#"[{"name":"n","value":1,"experiment":{}}]"#, ["/0/experiment/id"]),
                (
                    #"[{"name":"n","value":1,"experiment":{"id":"x","variant":"a"}}]"#,
                    ["/0/experiment/variant"]
                ),
                (
                    #"[{"name":"n","value":1,"experiment":{"id":"e"}},{"name":"","value":"1"}]"#,
                    ["/1/name", "/1/value"]
                ), (#"[{"name":"n","value":1,"stepId":"s"}]"#, ["/0/stepId"]), ("[1]", nil),
            ] as [(String, [String]?)] {
                let answer = try await send(body)
                #expect(answer.status == 422, "\(body): \(answer.text)")
                if let pointers { #expect(answer.pointers == pointers, "\(body): \(answer.text)") }
            }
            for body in ["[]", "{}", "", "[\(Self.hundred),{\"name\":\"n\",\"value\":1}]"] {
                #expect(try await send(body).status == 400)
            }
            #expect(try await send("[]", run: "none").status == 400)
            #expect(try await send(#"[{"name":"n","value":1}]"#, run: "none").status == 404)
            #expect(try await send(#"[{"name":"n","value":1}]"#, run: "%00").status == 404)
            #expect(ledger.log.view.position == position)
            let several = try await send(
                #"""
                [{"name":"n","value":1,"experiment":{"id":"x","variant":"b"}},
                {"name":"n","value":2,"experiment":{"id":"e"}}]
                """#)
            #expect(several["scores"]?.array?.texts("variant") == ["b", "a"])
            #expect(try await send("[\(Self.hundred)]")["scores"]?.array?.count == 100)
            // Two functions may use one name; then only the longer shape can tell them apart.
            try await ledger.select("r1", function: "g")
            let both = try await send(#"[{"name":"n","value":1,"experiment":{"id":"e"}}]"#)
            #expect(both.pointers == ["/0/experiment/id"])
        }
    }

    private static let hundred = Array(
        repeating: #"{"name":"n","value":1,"experiment":{"id":"e"}}"#, count: 100
    ).joined(separator: ",")
}
