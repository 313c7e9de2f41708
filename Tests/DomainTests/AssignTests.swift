import JSON
import Testing

@testable import Domain

@Suite struct AssignTests {
    private func ledger(_ status: String, _ spec: String = "") throws -> TestLedger {
        var ledger = TestLedger()
        try ledger.apply(hero(status, spec: spec))
        return ledger
    }

    @Test func `the draw number is the documented hash`() {
        // From Python: int.from_bytes(sha256(f"{e}/{c}/{s}".encode()).digest()[:8]) / 2**64
        let expected: [(String, Int, String, Double)] = [
            ("HERO-NOV-2024", 1, "user_123", 0.6946755288443193),
            ("HERO-NOV-2024", 2, "user_123", 0.5371861328804518),
            ("E", 1, "\u{E9}", 0.21128069245466732),
            ("E", 1, "e\u{301}", 0.6238111073459951),
            ("a.b-c_1", 10, "a/b%c", 0.39752053156380396),
            ("HERO", 1, "subject-7", 0.18267677307181374),
        ]
        for (experiment, cohort, subject, u) in expected {
            #expect(drawNumber(experiment: id(experiment), cohort: cohort, subject: subject) == u)
        }
    }

    @Test(arguments: [
        ("user_1", "A"), ("user_2", "A"), ("user_3", "B"), ("user_4", "C"), ("user_5", "C"),
    ])
    func `three splits of 0.3333 are thirds`(subject: String, variant: String) throws {
        var ledger = TestLedger()
        try ledger.apply(
            hero(
                "active", variants: #"{"id":"a"},{"id":"b"},{"id":"c"}"#,
                cohorts: cohort(1, ("a", 0.3333), ("b", 0.3333), ("c", 0.3333))))
        #expect(try ledger.assign(subject)[0].variant == id(variant).text)
    }

    @Test func `the first variant whose cumulative split exceeds u is taken`() {
        let cohort = Cohort(
            index: 1, createdAt: Timestamp(microseconds: 0),
            splits: [
                Split(variant: id("zero"), split: 0), Split(variant: id("a"), split: 0.25),
                Split(variant: id("b"), split: 0.75), Split(variant: id("none"), split: 0),
            ])
        #expect(cohort.variant(at: 0) == id("a"))
        #expect(cohort.variant(at: 0.25.nextDown) == id("a"))
        #expect(cohort.variant(at: 0.25) == id("b"))
        #expect(cohort.variant(at: 1) == id("b"))
    }

    @Test func `splits are normalised by their true sum`() {
        let splits = ["a", "b", "c"].map { Split(variant: id($0), split: 0.3333) }
        let cohort = Cohort(index: 1, createdAt: Timestamp(microseconds: 0), splits: splits)
        #expect(cohort.variant(at: 0.33332) == id("a"))
        #expect(cohort.variant(at: 0.66665) == id("b"))
    }

    @Test func `draws follow the splits and are independent of the experiment`() {
        var cohort = Cohort(index: 1, createdAt: Timestamp(microseconds: 0), splits: [])
        let splits: [(ResourceID, Double)] = [(id("a"), 0.1), (id("b"), 0.2), (id("c"), 0.7)]
        cohort.splits = splits.map { Split(variant: $0.0, split: $0.1) }
        let subjects = 20_000
        var counts: [ResourceID: Int] = [:]
        var both = 0
        func draw(_ experiment: String, _ subject: Int) -> ResourceID {
            cohort.variant(
                at: drawNumber(experiment: id(experiment), cohort: 1, subject: "s\(subject)"))
        }
        for subject in 0..<subjects {
            let (one, two) = (draw("one", subject), draw("two", subject))
            counts[one, default: 0] += 1
            if one == id("c") && two == id("c") { both += 1 }
        }
        let chiSquare = splits.reduce(0.0) { sum, split in
            let expected = split.1 * Double(subjects)
            let difference = Double(counts[split.0] ?? 0) - expected
            return sum + difference * difference / expected
        }
        // The 0.999 quantile for two degrees of freedom.
        #expect(chiSquare < 13.82)
        #expect(abs(Double(both) / Double(subjects) - 0.49) < 0.0125)
    }

    @Test func `a draft assigns nothing`() throws {
        var ledger = try ledger("draft")
        let answer = try ledger.assign("s")[0]
        #expect(answer.reason == .notActive && answer.variant == nil)
        #expect(answer.position == ledger.experiment()?.statusPosition)
        #expect(ledger.facts.placements.isEmpty)
    }

    @Test func `an active experiment gives a subject its first variant for ever`() throws {
        var ledger = try ledger("active")
        let new = try ledger.assign("s")[0]
        #expect(new.reason == .new && new.cohort == 1 && new.position == Int64(ledger.log.count))
        let other = try #require(
            ["CONTROL", "TREATMENT-A"].first { $0 != new.variant }.map { id($0) })
        try ledger.step(
            .addCohort(
                CohortDocument(
                    index: 2, createdAt: nil, splits: [Split(variant: other, split: 1)])))
        let again = try ledger.assign("s", "t")
        #expect(again[0].reason == .existing && again[0].variant == new.variant)
        #expect(again[0].cohort == 1 && again[0].position == new.position)
        #expect(again[1].reason == .new && again[1].variant == other.text && again[1].cohort == 2)
    }

    @Test func `the event keeps all that recomputes the draw`() throws {
        var ledger = try ledger("active", #","subjectType":"user""#)
        try ledger.assign("s/1")
        let line = try #require(ledger.log.last)
        #expect(line.type == "AssignmentMade" && line.stream == "assignment/HERO/s%2F1")
        let data = try JSONValue.parse(line.data)
        #expect(
            data.object?.map(\.key)
                == ["experiment", "subject", "subjectType", "variant", "cohort", "u"])
        #expect(data["subjectType"] == "USER")
        let u = drawNumber(experiment: id("hero"), cohort: 1, subject: "s/1")
        #expect(data["u"]?.double == u)
        #expect(data["variant"]?.string == (u < 0.5 ? "CONTROL" : "TREATMENT-A"))
    }

    @Test func `a winner is for everyone and records nothing`() throws {
        var ledger = try ledger("winner_declared", #","winningVariant":"control""#)
        let length = ledger.log.count
        let answers = try ledger.assign("s", "", "a\0", String(repeating: "x", count: 513))
        #expect(answers.allSatisfy { $0.reason == .winner && $0.variant == "CONTROL" })
        #expect(ledger.log.count == length)
    }

    @Test(arguments: [("ended", AssignmentReason.ended), ("archived", .archived)])
    func `an ended or archived experiment assigns nothing`(
        status: String, reason: AssignmentReason
    ) throws {
        var ledger = try ledger("active")
        try ledger.assign("s")
        try ledger.apply(hero(status, spec: #","endedReason":"other""#))
        for answer in try ledger.assign("s", "new", "") {
            #expect(answer.reason == reason && answer.variant == nil)
        }
        let length = ledger.log.count
        try ledger.step(.reopen(to: .active, reason: "r"))
        #expect(try ledger.assign("s")[0].reason == .existing)
        #expect(ledger.log.count == length + 1)
    }

    @Test func `to read only an active experiment needs the existing variant`() throws {
        var ledger = try ledger("active")
        try ledger.assign("s")
        let experiment = try #require(ledger.experiment())
        let key = UnitKey(experiment: experiment.id, subject: "s")
        #expect(experiment.answer(to: "s", existing: nil) == nil)
        let read = experiment.answer(to: "s", existing: ledger.facts.placements[key])
        #expect(read?.reason == .existing && read?.variant == ledger.facts.placements[key]?.variant)
    }

    @Test func `one invalid subject refuses the whole batch and names it`() throws {
        var ledger = try ledger("active")
        let refused = refusal { () throws(Refusal) in
            try ledger.assign("s", "", String(repeating: "é", count: 257), "a\0b")
        }
        #expect(refused?.problems.map(\.pointer) == ["/subjects/1", "/subjects/2", "/subjects/3"])
        #expect(ledger.facts.placements.isEmpty)
        #expect(try ledger.assign(String(repeating: "é", count: 256))[0].reason == .new)
    }

    @Test func `a subject that comes twice in a batch is assigned once`() throws {
        var ledger = try ledger("active")
        let answers = try ledger.assign("s", "s")
        #expect(answers.map(\.reason) == [.new, .existing])
        #expect(answers[0].position == answers[1].position)
        #expect(answers[0].variant == answers[1].variant)
    }

    @Test func `subjects are told apart by their bytes`() throws {
        var ledger = try ledger("active")
        let answers = try ledger.assign("\u{E9}", "e\u{301}", "S", "s")
        #expect(answers.map(\.reason) == [.new, .new, .new, .new])
        #expect(ledger.facts.placements.count == 4)
    }

    @Test func `one subject in many experiments gets an answer from each`() throws {
        var ledger = try ledger("active")
        try ledger.apply(hero("draft", id: "b"))
        let ids = [id("hero"), id("b"), id("absent")]
        let decision = try ledger.run(.assignSubject("s", experiments: ids))
        #expect(decision.assignments.map(\.reason) == [.new, .notActive, .notFound])
        #expect(decision.assignments.map(\.experiment) == ids)
        let refused = refusal { () throws(Refusal) in
            try ledger.run(.assignSubject("", experiments: ids))
        }
        #expect(refused?.problems.map(\.pointer) == ["/subject"])
    }

    @Test func `an unknown experiment is not found`() {
        var ledger = TestLedger()
        #expect(refusal { () throws(Refusal) in try ledger.assign("s") }?.kind == .notFound)
    }
}
