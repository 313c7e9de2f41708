import Domain
import JSON
import Testing

@Suite struct ResultsTests {
    private static let path = "/v1/functions/f/experiments/e/results"
    private static let heroPath = "/v1/experiments/hero/results"

    /// Gives runs their variants by the custom strategy, and each of them scores.
    private func record(
        _ ledger: ServedLedger, name: String = "n", variants: String = #"["control","b"]"#,
        _ arms: [(variant: String, values: [String])]
    ) async throws {
        var selections: [String] = []
        var scores: [String] = []
        for arm in arms {
            for (index, value) in arm.values.enumerated() {
                let unit =
                    #""function":"f","experiment":"e","run":"\#(arm.variant)-\#(variants.count)-\#(index)""#
                selections.append(
                    #"""
                    {"type":"VariantSelected","data":{\#(unit),"variants":\#(variants),
                    "strategy":"custom","variant":"\#(arm.variant)"}}
                    """#)
                scores.append(#"{\#(unit),"name":"\#(name)","value":\#(value)}"#)
            }
        }
        let made = try await ledger.send(
            "POST", "/v1/events", "[\(selections.joined(separator: ","))]")
        #expect(made.status == 201, "\(made.text.prefix(400))")
        #expect(try await ledger.score("[\(scores.joined(separator: ","))]").status == 201)
    }

    /// The results, of all that is recorded.
    private func results(
        _ ledger: ServedLedger, _ query: String = "", path: String = ResultsTests.path
    ) async throws -> JSONValue {
        let answer = try await ledger.get(
            "\(path)?minPosition=\(ledger.log.view.position)\(query.isEmpty ? "" : "&\(query)")")
        #expect(answer.status == 200, "\(answer.text)")
        return answer.json
    }

    private func booleans(_ hits: Int, of count: Int) -> [String] {
        (0..<count).map { $0 < hits ? "true" : "false" }
    }

    private func isClose(_ value: JSONValue?, _ expected: Double) -> Bool {
        value?.double.map { abs($0 - expected) < 1e-9 } ?? false
    }

    // MARK: Figures

    @Test func `two proportions come to the figures worked out beforehand`() async throws {
        try await ServedLedger.run(projecting: true) { ledger async throws in
            try await record(
                ledger, [("control", booleans(100, of: 1_000)), ("b", booleans(131, of: 1_010))])
            let results = try await results(ledger)
            #expect(results["control"] == "control")
            #expect(results.at("lag", "events") == 0)
            #expect(results["sampleRatio"] == .null)
            let score = try #require(results.at("scores", "0"))
            #expect(score["kind"] == "proportion" && score["stratified"] == false)
            #expect(score["scores"] == 2_010)
            let control = try #require(score.at("variants", "0"))
            #expect(control["isControl"] == true && control["verdict"] == nil)
            #expect(control["units"] == 1_000 && isClose(control["mean"], 0.1))
            let b = try #require(score.at("variants", "1"))
            #expect(b["verdict"] == "none yet")
            for (path, expected) in [
                (["difference", "estimate"], 0.0297029703),
                (["difference", "standardError"], 0.0142043122),
                (["difference", "welch", "low"], 0.0018460611),
                (["difference", "welch", "high"], 0.0575598795),
                (["difference", "welch", "p"], 0.0366437307),
                (["difference", "alwaysValid", "low"], -0.0146530526),
                (["difference", "alwaysValid", "high"], 0.0740589932),
                (["difference", "alwaysValid", "p"], 0.3874236463),
                (["lift", "estimate"], 0.2970297030), (["lift", "welch", "p"], 0.0672534887),
                (["lift", "alwaysValid", "low"], -0.2095515566),
            ] {
                let value = path.reduce(b as JSONValue?) { $0?[$1] }
                #expect(isClose(value, expected), "\(path): \(value?.double ?? .nan)")
            }
        }
    }

    @Test func `numbers come to their mean, spread and quartiles`() async throws {
        try await ServedLedger.run(projecting: true) { ledger async throws in
            try await record(
                ledger, [("control", ["1", "2", "3", "4", "5"]), ("b", ["2", "4", "6", "8"])])
            let score = try #require(try await results(ledger).at("scores", "0"))
            #expect(score["kind"] == "mean" && score["quantileError"]?.double == 0)
            let arms = try #require(score["variants"]?.array)
            let keys = ["mean", "min", "lowerQuartile", "median", "upperQuartile", "max"]
            #expect(keys.map { arms[0][$0]?.double } == [3, 1, 2, 3, 4, 5])
            #expect(keys.map { arms[1][$0]?.double } == [5, 2, 2, 4, 6, 8])
            #expect(isClose(arms[0]["standardDeviation"], 2.5.squareRoot()))
            #expect(isClose(arms[1]["standardDeviation"], (20.0 / 3).squareRoot()))
            #expect(isClose(arms[1].at("difference", "estimate"), 2))
            #expect(
                isClose(arms[1].at("difference", "standardError"), (5.0 / 3 + 0.5).squareRoot()))
            #expect(isClose(arms[1].at("lift", "estimate"), 2.0 / 3))
        }
    }

    @Test func `many scores summed up come to what they come to one by one`() async throws {
        try await ServedLedger.run(projecting: true) { ledger async throws in
            let values = (0..<2_600).map { "\(Double($0 * 7 % 101) / 8)" }
            try await record(ledger, [("control", values), ("b", values.map { "1\($0)" })])
            let summed = try await results(ledger).at("scores", "0", "variants")?.array ?? []
            let single =
                try await results(ledger, "from=1970-01-01T00:00:00Z")
                .at("scores", "0", "variants")?.array ?? []
            #expect(summed.count == 2)
            for (left, right) in zip(summed, single) {
                for key in [
                    "units", "scores", "mean", "standardDeviation", "difference", "lift", "verdict",
                ] {
                    #expect(left[key] == right[key], "\(key)")
                }
                let (near, exact) = (left["median"]?.double ?? 0, right["median"]?.double ?? -1)
                #expect(abs(near - exact) <= exact / 128)
            }
        }
    }

    @Test func `a clear difference is called, whichever way is better`() async throws {
        try await ServedLedger.run(projecting: true) { ledger async throws in
            try await record(
                ledger, [("control", booleans(100, of: 1_000)), ("b", booleans(400, of: 1_000))])
            func verdict(_ query: String, _ index: String) async throws -> JSONValue? {
                try await results(ledger, query).at("scores", "0", "variants", index, "verdict")
            }
            #expect(try await verdict("", "1") == "better")
            #expect(try await verdict("lowerIsBetter=true", "1") == "worse")
            #expect(try await verdict("control=b", "0") == "worse")
            #expect(try await verdict("control=b", "1") == nil)
            #expect(try await verdict("alpha=1e-300", "1") == "none yet")
            for odd in [
                "control=B", "control=none", "alpha=0", "alpha=1", "alpha=x", "minimumEffect=-1",
                "minimumEffect=NaN", "aggregate=median", "from=yesterday", "definition=0",
                "cohort=1", "lowerIsBetter=perhaps", "nmae=n", "asOf=999999", "minPosition=-1",
                "from=2020-01-02T00:00:00Z&to=2020-01-01T00:00:00Z", "name=%00",
            ] {
                let answer = try await ledger.get("\(Self.path)?\(odd)")
                #expect(
                    answer.problem == "malformed-parameter", "\(odd): \(answer.text.prefix(300))")
            }
            let early = try await ledger.get("\(Self.path)?from=0000-01-01T00:00:00Z")
            #expect(early.status < 500)
        }
    }

    // MARK: What counts

    @Test(arguments: [
        ("latest", 3.0), ("sum", 10), ("count", 3), ("mean", 10.0 / 3), ("min", 2), ("max", 5),
    ])
    func `several scores of a unit are one number`(aggregate: String, expected: Double) async throws
    {
        try await ServedLedger.run(projecting: true) { ledger async throws in
            try await ledger.select("r1", #""strategy":"custom","variant":"a""#)
            for (value, day) in [(5, 1), (3, 3), (2, 2)] {
                try await ledger.score(
                    #"""
                    {"function":"f","experiment":"e","run":"r1","name":"n","value":\#(value),
                    "occurredAt":"2020-01-0\#(day)T00:00:00Z"}
                    """#)
            }
            let score = try await results(ledger, "aggregate=\(aggregate)").at("scores", "0")
            #expect(score?["scores"] == 3)
            #expect(isClose(score?.at("variants", "0", "mean"), expected))
            let days = "from=2020-01-01T00:00:00Z&to=2020-01-03T00:00:00Z"
            let some = try await results(ledger, "aggregate=count&\(days)")
            #expect(some.at("scores", "0", "variants", "0", "mean")?.double == 2)
            let exact = try await results(ledger, "from=2020-01-03T00:00:00Z")
            #expect(exact.at("scores", "0", "scores") == 1)
        }
    }

    @Test func `retractions, corrections and unscored units show, and asOf shows what was`()
        async throws
    {
        try await ServedLedger.run(projecting: true) { ledger async throws in
            try await record(ledger, [("control", ["1", "2"]), ("b", ["3", "5"])])
            let before = ledger.log.view.position
            let first = try await ledger.events("ScoreRecorded").first?["position"]?.integer
            let score = try #require(first)
            try await ledger.send("POST", "/v1/scores/retractions", #"{"position":\#(score)}"#)
            func control(_ query: String = "") async throws -> JSONValue? {
                try await results(ledger, query).at("scores", "0", "variants", "0")
            }
            let taken = try await control()
            #expect(taken?["units"] == 1 && taken?["mean"]?.double == 2)
            #expect(taken?["assigned"] == 2 && taken?["unscored"] == 1)
            let run = try #require(
                try await ledger.events("ScoreRecorded").first?.at("data", "run")?.string)
            try await ledger.score(
                #"{"function":"f","experiment":"e","run":"\#(run)","name":"n","value":10}"#)
            #expect(try await control()?["mean"]?.double == 6)
            let then = try await control("asOf=\(before)")
            #expect(then?["mean"]?.double == 1.5 && then?["unscored"] == 0)
            let time = try #require(
                try await ledger.get("/v1/events?after=\(before - 1)&limit=1")
                    .lines.first?["recordedAt"]?.string)
            #expect(try await control("asOf=\(time)")?["mean"]?.double == 1.5)
            let answer = try await ledger.get("\(Self.path)?asOf=\(before)")
            #expect(answer.header("X-Ledger-Position") == "\(before)")
        }
    }

    @Test func `scores of one name are asked for, and unattributed ones are counted`() async throws
    {
        try await ServedLedger.run(projecting: true) { ledger async throws in
            try await record(ledger, name: "it/é", [("control", ["1", "2"]), ("b", ["3", "5"])])
            for _ in 0..<3 {
                try await ledger.score(
                    #"""
                    {"function":"f","experiment":"e","run":"none","name":"m","value":1,
                    "onUnknownUnit":"quarantine"}
                    """#)
            }
            let all = try await results(ledger)
            #expect(all["scores"]?.array?.texts("name") == ["it/é", "m"])
            #expect(all["unattributedScores"] == 3)
            #expect(all.at("scores", "1", "unattributed") == 3)
            #expect(all.at("scores", "1", "scores") == 0)
            let one = try await results(ledger, "name=\("it/é".part)")
            #expect(one["scores"]?.array?.texts("name") == ["it/é"])
            #expect(one["unattributedScores"] == 0)
            let none = try await results(ledger, "name=none")
            #expect(none.at("scores", "0", "variants", "0", "unscored") == 2)
            let past = try await results(ledger, "asOf=\(ledger.log.view.position - 1)")
            #expect(past["unattributedScores"] == 2)
        }
    }

    @Test func `a definition that came later is not in earlier results`() async throws {
        try await ServedLedger.run(projecting: true) { ledger async throws in
            try await record(ledger, [("control", ["1", "2"]), ("b", ["3", "5"])])
            let before = ledger.log.view.position
            try await record(
                ledger, variants: #"["control","b","late"]"#,
                [("control", ["10", "20"]), ("b", ["30", "50"])])
            let both = try await results(ledger)
            #expect(both["definitions"]?.array?.integers("definition") == [1, 2])
            #expect(both.at("scores", "0", "stratified") == true)
            let one = try await results(ledger, "definition=2")
            #expect(one.at("scores", "0", "variants", "0", "mean")?.double == 15)
            #expect(one["definitions"]?.array?.integers("definition") == [2])
            let old = try await results(ledger, "asOf=\(before)")
            #expect(old["definitions"]?.array?.integers("definition") == [1])
            #expect(old["variants"]?.array?.texts("variant") == ["control", "b"])
        }
    }

    // MARK: Splits

    /// An active experiment with one cohort, split so; more cohorts can follow.
    private func hero(_ ledger: ServedLedger, _ control: Double) async throws {
        let answer = try await ledger.apply(
            #"""
            {"schemaVersion":1,"kind":"experiment","metadata":{"id":"hero","status":"active"},
            "spec":{"variants":[{"id":"b"},{"id":"old","isControl":true}],"cohorts":[{"index":1,
            "variants":[{"variant":"old","split":\#(control)},{"variant":"b","split":\#(1 - control)}]}]}}
            """#)
        #expect(answer.status == 200, "\(answer.text)")
    }

    /// Assigns subjects, and scores each variant's so that the given shares of them are hits.
    private func assign(
        _ ledger: ServedLedger, _ subjects: [String], hits: [String: Double]
    ) async throws {
        let list = subjects.map(\.quoted).joined(separator: ",")
        let answer = try await ledger.send(
            "POST", "/v1/experiments/hero/assignments", #"{"subjects":[\#(list)]}"#)
        var scores: [String] = []
        let given = try #require(answer["assignments"]?.array)
        for (variant, share) in hits {
            let units = given.filter { $0["variant"] == .string(variant) }.texts("subject")
            for (index, unit) in units.enumerated() {
                let isHit = Double(index) < share * Double(units.count)
                scores.append(
                    #"{"experiment":"hero","subject":\#(unit.quoted),"name":"won","value":\#(isHit)}"#
                )
            }
        }
        #expect(try await ledger.score("[\(scores.joined(separator: ","))]").status == 201)
    }

    @Test func `where pooled means point the wrong way, the comparison does not`() async throws {
        try await ServedLedger.run(projecting: true) { ledger async throws in
            try await hero(ledger, 0.8)
            try await assign(
                ledger, (0..<2_000).map { "first-\($0)" }, hits: ["OLD": 0.7, "B": 0.8])
            try await ledger.send(
                "POST", "/v1/experiments/hero/cohorts",
                #"{"variants":[{"variant":"old","split":0.2},{"variant":"b","split":0.8}]}"#)
            try await assign(
                ledger, (0..<2_000).map { "second-\($0)" }, hits: ["OLD": 0.1, "B": 0.2])
            let results = try await results(ledger, path: Self.heroPath)
            #expect(results["control"] == "OLD" && results["status"] == "active")
            let score = try #require(results.at("scores", "0"))
            #expect(score["stratified"] == true)
            #expect(score["method"]?.string?.contains("within each cohort") == true)
            let (b, old) = (try #require(score.at("variants", "0")), score.at("variants", "1"))
            // All units together: B looks worse.
            #expect((b["mean"]?.double ?? 1) < (old?["mean"]?.double ?? 0) - 0.1)
            // Within each cohort it is better by a tenth.
            #expect(abs((b.at("difference", "estimate")?.double ?? 0) - 0.1) < 0.01)
            #expect(b["verdict"] == "better", "\(b["evidence"]?.string ?? "")")
            #expect(results.at("sampleRatio", "alert") == false)
            #expect(score["cohorts"]?.array?.integers("cohort") == [1, 2])
            let one = try await self.results(ledger, "cohort=2", path: Self.heroPath)
            #expect(one["cohorts"]?.array?.integers("cohort") == [2])
            #expect(one.at("scores", "0", "stratified") == false)
            let odd = try await ledger.get("\(Self.heroPath)?definition=1")
            #expect(odd.problem == "malformed-parameter")
            let swapped = try await self.results(ledger, "control=b", path: Self.heroPath)
            #expect(swapped.at("scores", "0", "variants", "1", "verdict") == "worse")
            let yaml = try await ledger.get(Self.heroPath, accept: "application/yaml")
            #expect(yaml.contentType.hasPrefix("application/yaml"))
            #expect(try await ledger.get("/v1/experiments/none/results").status == 404)
            #expect(try await ledger.get("\(Self.heroPath)?asOf=0").status == 404)
        }
    }

    @Test func `a split that was not kept is an alert, and no verdict is given`() async throws {
        try await ServedLedger.run(projecting: true) { ledger async throws in
            try await hero(ledger, 0.5)
            // Two of three units that would get B never come.
            let id: ResourceID = "hero"
            let subjects = (0..<2_000).map { "u\($0)" }.enumerated().filter { index, subject in
                drawNumber(experiment: id, cohort: 1, subject: subject) < 0.5 || index % 3 == 0
            }.map(\.element)
            try await assign(ledger, subjects, hits: ["OLD": 0.1, "B": 0.9])
            let results = try await results(ledger, path: Self.heroPath)
            #expect(results.at("sampleRatio", "alert") == true)
            #expect((results.at("sampleRatio", "p")?.double ?? 1) < 0.001)
            #expect(results.at("sampleRatio", "degreesOfFreedom") == 1)
            let counts = results["variants"]?.array?.integers("assigned").map { Double($0) } ?? []
            let half = counts.reduce(0, +) / 2
            let square = counts.reduce(0) { $0 + ($1 - half) * ($1 - half) / half }
            #expect(isClose(results.at("sampleRatio", "chiSquare"), square))
            #expect(results.at("cohorts", "0", "sampleRatio", "alert") == true)
            let b = results.at("scores", "0", "variants", "0")
            #expect(b?["verdict"] == "none yet")
            #expect(b?["evidence"]?.string?.contains("sample ratio") == true)
            #expect(b?.at("difference", "welch", "p")?.double ?? 1 < 0.001)
        }
    }

    @Test func `results can't be read before the projections are built`() async throws {
        try await ServedLedger.run { ledger async throws in
            try await ledger.select("r1")
            let answer = try await ledger.get(Self.path)
            #expect(answer.status == 503 && answer.problem == "not-ready")
            #expect(answer.header("Retry-After") != nil)
        }
    }
}
