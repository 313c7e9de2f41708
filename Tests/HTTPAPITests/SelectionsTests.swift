import JSON
import Testing

@Suite struct SelectionsTests {
    private static let path = "/v1/functions/f/experiments/e"

    // MARK: Strategies

    @Test(
        arguments: [
            // The numbers are SHA-256 of the seed, computed elsewhere.
            ("\(ServedLedger.weighted)", "b", 0.5115343197248876, nil),
            (#""strategy":"weighted","weights":{"b":1,"a":2}"#, "a", 0.5115343197248876, nil),
            (
                #""strategy":"bucket","value":"user_1""#, "a", 0.4753519296646118,
                "79b0aa0042b3c05617c378046a6553ec2cd81e9995959a6012f9b497a18ec82b"
            ),
            (
                #""strategy":"bucket","value":"user_1","weights":{"a":0,"b":1}"#, "b",
                0.4753519296646118,
                "79b0aa0042b3c05617c378046a6553ec2cd81e9995959a6012f9b497a18ec82b"
            ),
            (
                #""strategy":"bucket","value":42.0"#, "a", 0.4503076495602727,
                "73475cb40a568e8da8a045ced110137e159f890ac4da883b6b17dc651b3a8049"
            ),
            (
                #""strategy":"bucket","value":[1,2]"#, "a", 0.09363839565776289,
                "17f8af97ad4a7f7639a4c9171d5185cbafb85462877a4746c21bdb0a4f940ca0"
            ),
            (#""strategy":"custom","variant":"b""#, "b", nil, nil),
            (#""strategy":"fixed","variant":"a""#, "a", nil, nil),
            (#"\#(ServedLedger.weighted),"hashVersion":1"#, "b", 0.5115343197248876, nil),
            // The seed is 1:f/1:e/r1.
            (#"\#(ServedLedger.weighted),"hashVersion":2"#, "a", 0.4101129616610706, nil),
        ] as [(String, String, Double?, String?)])
    func `each strategy gives the variant that the SDK gives`(
        more: String, variant: String, h: Double?, hash: String?
    ) async throws {
        try await ServedLedger.run { ledger async throws in
            let answer = try await ledger.select("r1", more)
            #expect(answer.status == 200)
            #expect(answer["variant"] == .string(variant))
            #expect(answer.json.at("experimentRef", "experimentName") == "e")
            #expect(answer.json.at("experimentRef", "variant") == .string(variant))
            #expect(answer["memoized"] == false && answer["nullishBucket"] == false)
            #expect(answer["h"]?.double == h)
            #expect(answer["bucketHash"]?.string == hash)
            let events = try await ledger.get("/v1/events").lines
            #expect(events.texts("type") == ["StepExperimentCreated", "VariantSelected"])
            #expect(answer["position"]?.integer == 2)
            let data = try #require(events.last?["data"])
            #expect(data["h"]?.double == h && data["bucketHash"]?.string == hash)
            #expect(data["value"] == nil)
        }
    }

    @Test(arguments: ["", #","value":null"#, #","value":"null""#, #","value":"""#])
    func `a bucket without a value is flagged`(value: String) async throws {
        try await ServedLedger.run { ledger async throws in
            let isNullish = !value.hasSuffix("\"")
            let first = try await ledger.select("r1", "\"strategy\":\"bucket\"\(value)")
            #expect(first["nullishBucket"] == .bool(isNullish))
            if isNullish { #expect(first["h"]?.double == 0.8894159947521985) }
            let again = try await ledger.select("r1", "\"strategy\":\"bucket\"\(value)")
            #expect(again["nullishBucket"] == .bool(isNullish))
            let data = try await ledger.events("VariantSelected").first?["data"]
            #expect(data?["nullishBucket"] == .bool(isNullish))
        }
    }

    @Test func `salted experiments split the same runs each in its own way`() async throws {
        try await ServedLedger.run { ledger async throws in
            for (version, mixes) in [(1, false), (2, true)] {
                var pairs: Set<String> = []
                for number in 0..<40 {
                    var pair = ""
                    for name in ["e\(version)", "g\(version)"] {
                        let answer = try await ledger.select(
                            "run-\(number)",
                            "\(ServedLedger.weighted),\"hashVersion\":\(version)", experiment: name)
                        pair += answer["variant"]?.string ?? "?"
                    }
                    pairs.insert(pair)
                }
                #expect(pairs == (mixes ? ["aa", "ab", "ba", "bb"] : ["aa", "bb"]))
            }
        }
    }

    // MARK: Once for a run

    @Test func `a run keeps its variant whatever later requests bring`() async throws {
        try await ServedLedger.run { ledger async throws in
            let first = try await ledger.select("r1", #""strategy":"fixed","variant":"a""#)
            let position = ledger.log.view.position
            for more in [
                #""strategy":"fixed","variant":"b""#, #""strategy":"custom","variant":"b""#,
                #""strategy":"weighted","weights":{"b":1}"#, #""strategy":"bucket","value":1"#,
                // Even what would be refused of a run without a variant.
                #""strategy":"custom","variant":"zzz""#,
                #""strategy":"weighted","weights":{"a":0}"#,
            ] {
                let later = try await ledger.select("r1", more)
                #expect(later.status == 200, "\(more)")
                #expect(later["variant"] == "a" && later["memoized"] == true)
                #expect(later["position"] == first["position"])
                #expect(later["definition"] == 1)
            }
            #expect(ledger.log.view.position == position)
            // Another function, another experiment and another run are other runs' business.
            for other in [
                try await ledger.select("r1", function: "F"),
                try await ledger.select("r1", experiment: "E"), try await ledger.select("R1"),
            ] { #expect(other["memoized"] == false) }
        }
    }

    @Test func `concurrent requests for one run agree and leave one event`() async throws {
        try await ServedLedger.run { ledger async throws in
            let answers = try await withThrowingTaskGroup(of: Answer.self) { group in
                for number in 0..<40 {
                    group.addTask {
                        let variant = number.isMultiple(of: 2) ? "a" : "b"
                        return try await ledger.select(
                            "r1", "\"strategy\":\"custom\",\"variant\":\"\(variant)\"")
                    }
                }
                return try await group.reduce(into: [Answer]()) { $0.append($1) }
            }
            #expect(Set(answers.compactMap { $0["variant"]?.string }).count == 1)
            #expect(Set(answers.compactMap { $0["position"]?.integer }).count == 1)
            #expect(answers.count { $0["memoized"] == false } == 1)
            #expect(try await ledger.events("VariantSelected").count == 1)
            #expect(ledger.log.view.position == 2)
        }
    }

    @Test func `a selection with an idempotency key gets its first answer again`() async throws {
        try await ServedLedger.run { ledger async throws in
            let headers = [("Idempotency-Key", "k")]
            let first = try await ledger.select("r1", headers: headers)
            let second = try await ledger.select("r1", headers: headers)
            #expect(second.text == first.text && second["memoized"] == false)
            #expect(second.header("Idempotency-Replayed") == "true")
            let other = try await ledger.select("r2", headers: headers)
            #expect(other.problem == "idempotency-key-reused")
        }
    }

    // MARK: Definitions

    @Test func `a change of definition is one event, and one that comes back has its number`()
        async throws
    {
        try await ServedLedger.run { ledger async throws in
            let even = ServedLedger.weighted
            let uneven = #""strategy":"weighted","weights":{"a":9,"b":1}"#
            var numbers: [Int64] = []
            for (run, more) in [
                ("1", even), ("2", uneven), ("3", uneven), ("4", even), ("5", uneven),
                ("6", #""strategy":"fixed","variant":"a""#),
                ("7", #""strategy":"fixed","variant":"b""#),
                // The order of weights and of variants is no part of a definition.
                ("8", #""strategy":"weighted","weights":{"b":50,"a":50}"#),
            ] {
                numbers.append(try await ledger.select(run, more)["definition"]?.integer ?? 0)
            }
            #expect(numbers == [1, 2, 2, 1, 2, 3, 4, 1])
            let changes = try await ledger.events(
                "StepExperimentCreated", "ExperimentDefinitionChanged")
            #expect(changes.texts("stream").allSatisfy { $0 == "step/f/e" })
            #expect(changes.integers("version") == [1, 2, 3, 4, 5, 6, 7])
            #expect(
                changes.dropFirst().compactMap { $0.at("data", "definition")?.integer }
                    == [2, 1, 2, 3, 4, 1])
            #expect(
                changes.dropFirst().compactMap { $0.at("data", "previous")?.integer }
                    == [1, 2, 1, 2, 3, 4])
            let declared = try await ledger.get(Self.path)
            #expect(declared["definition"] == 1 && declared["definitions"] == 4)
            #expect(declared["strategy"] == "weighted")
            let history = try await ledger.get("\(Self.path)/history")
            #expect(history.items.texts("type").count == 7)
            #expect(history.items[1].at("before", "weights", "a")?.double == 50)
            #expect(history.items[1].at("after", "weights", "a")?.double == 9)
            let old = try await ledger.get("\(Self.path)?asOf=2")
            #expect(old["definitions"] == 1)
            #expect(try await ledger.get("\(Self.path)?asOf=0").status == 404)
        }
    }

    // MARK: Names

    @Test(arguments: [
        "a/b", "100%", "%2F", "a b", "🧪é", "\"q\"", "\\", "?x=1&y", "#", ".", "..", "+", "e\u{301}",
        "é", "'; --", "\n", "~0~1",
    ])
    func `a name is the same in bodies, paths, streams and the feed`(name: String) async throws {
        try await ServedLedger.run { ledger async throws in
            let bytes = Array(name.utf8)
            let made = try await ledger.select(name, function: name, experiment: name)
            for key in ["function", "experiment", "run"] {
                #expect(made[key]?.string.map { Array($0.utf8) } == bytes)
            }
            let path = "/v1/functions/\(name.part)/experiments"
            #expect(
                try await ledger.get(path).items.texts("function").map { Array($0.utf8) } == [bytes]
            )
            let single = "\(path)/\(name.part)"
            #expect(
                try await ledger.get(single)["experiment"]?.string.map { Array($0.utf8) } == bytes)
            let read = try await ledger.get("\(single)/selections/\(name.part)")
            #expect(read["variant"] == made["variant"] && read["memoized"] == true)
            #expect(try await ledger.get("\(single)/selections").items.count == 1)
            #expect(
                try await ledger.get("\(single)/selections?cursor=\(name.part)").items.isEmpty)
            let history = try await ledger.get("\(single)/selections/\(name.part)/history")
            #expect(history.items.texts("type") == ["VariantSelected"])
            #expect(try await ledger.get("/v1/runs/\(name.part)/selections").items.count == 1)
            let encoded = name.replacing("%", with: "%25").replacing("/", with: "%2F")
            let stream = "selection/\(encoded)/\(encoded)/\(encoded)"
            let events = try await ledger.get("/v1/events?stream=\(stream.part)")
            #expect(events.lines.texts("stream").map { Array($0.utf8) } == [Array(stream.utf8)])
            let query = "function=\(name.part)&experiment=\(name.part)"
            #expect(try await ledger.get("/v1/events?\(query)").lines.count == 2)
            #expect(try await ledger.get("/v1/audit?\(query)").items.count == 2)
            let entry = #"[{"key":\#(name.quoted),"variant":"a"}]"#
            try await ledger.send("PUT", "\(single)/rollout", entry)
            let table = try await ledger.get("\(single)/rollout")
            #expect(table.items.texts("key").map { Array($0.utf8) } == [bytes])
        }
    }

    @Test func `composed and decomposed letters make different names`() async throws {
        try await ServedLedger.run { ledger async throws in
            let (composed, decomposed) = ("\u{E9}", "e\u{301}")
            for name in [composed, decomposed] {
                let body = #"""
                    {"function":"f","experiment":\#(name.quoted),"run":\#(name.quoted),
                    "variants":[\#(composed.quoted),\#(decomposed.quoted)],
                    "strategy":"fixed","variant":\#(name.quoted)}
                    """#
                let answer = try await ledger.send("POST", "/v1/selections", body)
                #expect(answer["memoized"] == false)
                #expect(answer["variant"]?.string.map { Array($0.utf8) } == Array(name.utf8))
            }
            #expect(try await ledger.get("/v1/functions/f/experiments").items.count == 2)
            let crossed =
                "/v1/functions/f/experiments/\(composed.part)/selections/\(decomposed.part)"
            #expect(try await ledger.get(crossed).status == 404)
        }
    }

    @Test(arguments: [
        "/v1/runs/%00/selections", "/v1/functions/%00/experiments",
        "/v1/functions/%00/experiments/%00", "/v1/functions/f/experiments/%00/history",
        "/v1/functions/f/experiments/%00/selections",
        "/v1/functions/f/experiments/e/selections/%00",
        "/v1/functions/%00/experiments/e/selections/r1",
        "/v1/functions/%00/experiments/e/selections/r1/history",
        "/v1/functions/f/experiments/e/selections/%00/history",
        "/v1/functions/%00/experiments/e/rollout", "/v1/functions/%00/experiments/e/results",
        "/v1/experiments/hero/assignments/%00/history", "/v1/functions/%FF/experiments",
    ])
    func `a name that can't exist is not found`(path: String) async throws {
        try await ServedLedger.run { ledger async throws in
            try await ledger.select("r1")
            let answer = try await ledger.get(path)
            #expect(answer.status < 500, "\(answer.text)")
            #expect(answer.items.isEmpty)
        }
    }

    // MARK: Reading

    @Test func `functions, experiments and selections are listed in pages`() async throws {
        try await ServedLedger.run { ledger async throws in
            for function in ["g", "f", "a/b"] {
                for experiment in ["y", "x"] {
                    for run in ["3", "1", "2"] {
                        try await ledger.select(run, function: function, experiment: experiment)
                    }
                }
            }
            let asOf = ledger.log.view.position
            try await ledger.select("4", function: "h", experiment: "x")
            func walk(_ path: String, _ key: (JSONValue) -> String?) async throws -> [String] {
                var found: [String] = []
                var cursor = ""
                while true {
                    let page = try await ledger.get("\(path)?limit=1&asOf=\(asOf)\(cursor)")
                    #expect(page.items.count <= 1)
                    found += page.items.compactMap(key)
                    guard let next = page["next"]?.string else { return found }
                    cursor = "&cursor=\(next.part)"
                }
            }
            #expect(
                try await walk("/v1/functions") { $0["function"]?.string } == ["a/b", "f", "g"])
            #expect(
                try await ledger.get("/v1/functions").items.last?["experiments"]
                    == .array([.string("x")]))
            #expect(
                try await walk("/v1/functions/g/experiments") { $0["experiment"]?.string }
                    == ["x", "y"])
            #expect(
                try await walk("/v1/functions/a%2Fb/experiments/x/selections") {
                    $0.at("selection", "run")?.string
                } == ["1", "2", "3"])
            #expect(try await ledger.get("/v1/functions/none/experiments").status == 404)
            let runs = try await ledger.get("/v1/runs/2/selections").items
            #expect(runs.integers("position") == runs.integers("position").sorted())
            #expect(runs.count == 6)
            #expect(try await ledger.get("/v1/runs/2/selections?asOf=4").items.count == 1)
            #expect(
                try await ledger.get("/v1/functions/h/experiments/x?asOf=\(asOf)").status == 404)
        }
    }

    @Test func `a selection is read as of a position, and reading selects nothing`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await ledger.select("r1")
            try await ledger.select("r2")
            let path = "\(Self.path)/selections/r2"
            #expect(try await ledger.get(path)["memoized"] == true)
            #expect(try await ledger.get("\(path)?asOf=2").status == 404)
            #expect(try await ledger.get("\(Self.path)/selections/r3").status == 404)
            #expect(try await ledger.get("\(path)/history?asOf=2").status == 404)
            #expect(ledger.log.view.position == 3)
        }
    }

    @Test func `events and the audit of a function's experiment are found by both names`()
        async throws
    {
        try await ServedLedger.run { ledger async throws in
            try await ledger.select("r1")
            try await ledger.select("r1", function: "g")
            try await ledger.send("PUT", "\(Self.path)/rollout", #"{"k":"a"}"#)
            try await ledger.score(
                #"{"function":"f","experiment":"e","run":"r1","name":"n","value":1}"#)
            try await ledger.score(
                #"""
                {"function":"f","experiment":"e","run":"none","name":"n","value":1,
                "onUnknownUnit":"quarantine"}
                """#)
            let all = [
                "StepExperimentCreated", "VariantSelected", "RolloutChanged", "ScoreRecorded",
                "ScoreRecorded",
            ]
            let query = "function=f&experiment=e"
            #expect(try await ledger.get("/v1/events?\(query)").lines.texts("type") == all)
            let audit = try await ledger.get("/v1/audit?\(query)")
            #expect(audit.items.texts("type") == all)
            #expect(audit.items.texts("summary").allSatisfy { !$0.isEmpty })
            for path in ["/v1/events", "/v1/audit"] {
                let answer = try await ledger.get("\(path)?function=f")
                #expect(answer.problem == "malformed-parameter")
            }
        }
    }

    // MARK: Refusals

    @Test(arguments: [
        ("{}", ["/experiment", "/function", "/run", "/strategy", "/variants"]),
        (#"{"strategy":"weighted"}"#, ["/weights"]),
        (#"{"strategy":"weighted","weights":{"a":0}}"#, ["/weights"]),
        (
            #"{"strategy":"weighted","weights":{"a":-1,"x/y":"1","b":1e999}}"#,
            ["/weights/a", "/weights/b", "/weights/x~1y"]
        ),
        (#"{"strategy":"weighted","weights":{"a":1},"variant":"a"}"#, ["/variant"]),
        (#"{"strategy":"weighted","weights":{"zzz":1}}"#, ["/weights"]),
        (#"{"strategy":"bucket","value":1,"variant":"a"}"#, ["/variant"]),
        (#"{"strategy":"fixed"}"#, ["/variant"]), (#"{"strategy":"custom"}"#, ["/variant"]),
        (#"{"strategy":"custom","value":"k"}"#, ["/value"]),
        (#"{"strategy":"fixed","variant":"A"}"#, ["/variant"]),
        (#"{"strategy":"random"}"#, ["/strategy"]),
        (#"{"strategy":"bucket","hashVersion":3}"#, ["/hashVersion"]),
        (#"{"strategy":"bucket","variants":["a","a"]}"#, ["/variants"]),
        (#"{"strategy":"bucket","variants":["a",1,""]}"#, ["/variants/1", "/variants/2"]),
        (#"{"strategy":"bucket","variants":[]}"#, ["/variants"]),
        (#"{"strategy":"bucket","run":"\u0000"}"#, ["/run"]),
        (#"{"strategy":"bucket","vlaue":1}"#, ["/vlaue"]),
        (
            #"{"strategy":"bucket","function":"\#(String(repeating: "f", count: 129))"}"#,
            ["/function"]
        ),
    ])
    func `a refused selection says what is wrong and records nothing`(
        body: String, pointers: [String]
    ) async throws {
        try await ServedLedger.run { ledger async throws in
            var members = try #require(try JSONValue.parse(Array(body.utf8)).object)
            if !members.isEmpty {
                for (key, value) in [
                    ("function", "f"), ("experiment", "e"), ("run", "r"),
                    ("variants", .array(["a", "b"])),
                ] as [(String, JSONValue)] where !members.contains(where: { $0.key == key }) {
                    members.append(.init(key, value))
                }
            }
            let answer = try await ledger.send(
                "POST", "/v1/selections", bytes: JSONValue.object(members).encoded)
            #expect(answer.status == 422)
            #expect(answer.pointers.sorted() == pointers, "\(answer.text)")
            #expect(ledger.log.view.position == 0)
        }
    }

    @Test func `a body that is no JSON object is refused`() async throws {
        try await ServedLedger.run { ledger async throws in
            for (body, status) in [("{", 400), ("", 400), ("[]", 422), ("1", 422)] {
                let answer = try await ledger.send("POST", "/v1/selections", body)
                #expect(answer.status == status, "\(body): \(answer.text)")
            }
        }
    }
}
