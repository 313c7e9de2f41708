import JSON
import Testing

@testable import Domain

@Suite struct LifecycleTests {
    private func ledger(_ status: ExperimentStatus) throws -> TestLedger {
        var ledger = TestLedger()
        try ledger.apply(document(status))
        return ledger
    }

    private func document(_ status: ExperimentStatus) -> String {
        let spec =
            switch status {
            case .draft, .active: ""
            case .winnerDeclared: #","winningVariant":"treatment-a""#
            case .ended, .archived: #","endedReason":"success""#
            }
        return hero(status.rawValue, spec: spec)
    }

    private static let steps: [ExperimentStatus: [ExperimentStatus: [String]]] = [
        .draft: [
            .active: ["ExperimentActivated"],
            .winnerDeclared: ["ExperimentActivated", "WinnerDeclared"],
            .ended: ["ExperimentEnded"],
            .archived: ["ExperimentEnded", "ExperimentArchived"],
        ],
        .active: [
            .winnerDeclared: ["WinnerDeclared"], .ended: ["ExperimentEnded"],
            .archived: ["ExperimentEnded", "ExperimentArchived"],
        ],
        .winnerDeclared: [
            .ended: ["ExperimentEnded"], .archived: ["ExperimentEnded", "ExperimentArchived"],
        ],
        .ended: [.archived: ["ExperimentArchived"]],
    ]

    @Test(arguments: ExperimentStatus.allCases, ExperimentStatus.allCases)
    func `a status goes forward by its steps, and back only with a reason`(
        from: ExperimentStatus, to: ExperimentStatus
    ) throws {
        var ledger = try ledger(from)
        if to < from {
            for options in [ApplyOptions(), ApplyOptions(reopenReason: " ")] {
                let refused = refusal { () throws(Refusal) in
                    try ledger.apply(document(to), options: options)
                }
                #expect(refused?.problems.map(\.pointer) == ["/metadata/status"])
            }
            let types = try ledger.apply(
                document(to), options: ApplyOptions(reopenReason: "too early"))
            #expect(types.first == "ExperimentReopened")
            let winner = to == .winnerDeclared ? ["WinnerDeclared"] : []
            #expect(Array(types.dropFirst()) == winner)
            let reopened = try #require(ledger.log.first { $0.type == "ExperimentReopened" })
            let data = try JSONValue.parse(reopened.data)
            #expect(data["reason"] == "too early")
            #expect(data["to"]?.string == to.rawValue)
            #expect(data["from"]?.string == from.rawValue)
        } else {
            #expect(try ledger.apply(document(to)) == Self.steps[from]?[to] ?? [])
        }
        #expect(ledger.experiment()?.status == to)
        #expect(try ledger.apply(document(to)) == [])
        #expect(try ledger.replayed() == ledger.state)
    }

    @Test func `a document without a status leaves it as it is`() throws {
        for status in [ExperimentStatus.draft, .active, .ended, .archived] {
            var ledger = try ledger(status)
            #expect(try ledger.apply(hero(nil)) == [])
            #expect(ledger.experiment()?.status == status)
        }
    }

    @Test(arguments: [("active", ""), ("winner_declared", #","winningVariant":"control""#)])
    func `to be live it needs a variant and a cohort`(status: String, spec: String) {
        var ledger = TestLedger()
        let refused = refusal { () throws(Refusal) in
            try ledger.apply(hero(status, spec: spec, variants: "", cohorts: ""))
        }
        let pointers = refused?.problems.map(\.pointer) ?? []
        #expect(pointers.contains("/spec/variants") && pointers.contains("/spec/cohorts"))
        let uncohorted = refusal { () throws(Refusal) in
            try ledger.apply(hero(status, spec: spec, cohorts: ""))
        }
        #expect(uncohorted?.problems.map(\.pointer) == ["/spec/cohorts"])
        #expect(ledger.log.isEmpty)
    }

    @Test(arguments: [
        ("winner_declared", "", "/spec/winningVariant"),
        ("winner_declared", #","winningVariant":"other""#, "/spec/winningVariant"),
        ("draft", #","winningVariant":"control""#, "/spec/winningVariant"),
        ("active", #","winningVariant":"control""#, "/spec/winningVariant"),
        ("ended", #","winningVariant":"control","endedReason":"other""#, "/spec/winningVariant"),
        ("ended", "", "/spec/endedReason"),
        ("archived", "", "/spec/endedReason"),
        ("ended", #","endedReason":"bored""#, "/spec/endedReason"),
        ("active", #","endedReason":"success""#, "/spec/endedReason"),
    ])
    func `a winner goes with winner_declared, a reason with the end`(
        status: String, spec: String, pointer: String
    ) {
        var ledger = TestLedger()
        let refused = refusal { () throws(Refusal) in try ledger.apply(hero(status, spec: spec)) }
        #expect(refused?.problems.map(\.pointer) == [pointer])
    }

    @Test func `another winner can be declared, and the event keeps the one before`() throws {
        var ledger = try ledger(.winnerDeclared)
        #expect(try ledger.step(.declareWinner(id("treatment-a"))) == [])
        #expect(try ledger.step(.declareWinner(id("control"))) == ["WinnerDeclared"])
        let data = try JSONValue.parse(try #require(ledger.log.last).data)
        #expect(data["previous"] == "TREATMENT-A" && data["variant"] == "CONTROL")
        #expect(try ledger.assign("anyone")[0].variant == "CONTROL")
    }

    @Test func `the steps lead through a whole life`() throws {
        var ledger = try ledger(.draft)
        #expect(try ledger.step(.activate) == ["ExperimentActivated"])
        #expect(try ledger.step(.activate) == [])
        #expect(try ledger.step(.declareWinner(id("control"))) == ["WinnerDeclared"])
        #expect(try ledger.step(.end(.noStatSig)) == ["ExperimentEnded"])
        #expect(ledger.experiment()?.endedReason == .noStatSig)
        #expect(try ledger.step(.archive(nil)) == ["ExperimentArchived"])
        #expect(
            try ledger.step(.reopen(to: .winnerDeclared, reason: "back")) == ["ExperimentReopened"])
        #expect(ledger.experiment()?.winner == id("CONTROL"))
        #expect(ledger.experiment()?.endedReason == nil)
        #expect(try ledger.step(.reopen(to: .draft, reason: "b")) == ["ExperimentReopened"])
        #expect(ledger.experiment()?.winner == nil)
        #expect(ledger.experiment()?.provenance.resourceVersion == 7)
        #expect(try ledger.replayed() == ledger.state)
    }

    @Test func `a step that goes back is refused with one clear problem`() throws {
        for step in [LifecycleStep.activate, .declareWinner(id("control"))] {
            var ledger = try ledger(.ended)
            let refused = refusal { () throws(Refusal) in try ledger.step(step) }
            #expect(refused?.problems.map(\.pointer) == [""])
            #expect(refused?.detail.contains("is ended") == true)
        }
    }

    @Test(arguments: [
        (ExperimentStatus.active, LifecycleStep.declareWinner(id("x")), "/variant"),
        (.active, .archive(nil), "/reason"),
        (.ended, .reopen(to: .active, reason: " "), "/reason"),
        (.ended, .reopen(to: .active, reason: "a\0"), "/reason"),
        (.ended, .reopen(to: .winnerDeclared, reason: "r"), "/to"),
        (.archived, .end(.other), ""),
    ])
    func `a refused step points into its own request`(
        status: ExperimentStatus, step: LifecycleStep, pointer: String
    ) throws {
        var ledger = try ledger(status)
        let refused = refusal { () throws(Refusal) in try ledger.step(step) }
        #expect(refused?.problems.map(\.pointer) == [pointer])
    }

    @Test func `reopening goes back, for a reason within its bounds`() throws {
        var ledger = try ledger(.ended)
        for (step, kind) in [
            (LifecycleStep.reopen(to: .archived, reason: "r"), Refusal.Kind.conflict),
            (.reopen(to: .ended, reason: "r"), .conflict),
            (.reopen(to: .active, reason: ""), .invalid),
            (.reopen(to: .active, reason: "a\0"), .invalid),
            (.reopen(to: .active, reason: String(repeating: "r", count: 20_000)), .invalid),
            (.reopen(to: .winnerDeclared, reason: "r"), .invalid),
        ] {
            #expect(refusal { () throws(Refusal) in try ledger.step(step) }?.kind == kind)
        }
        #expect(try ledger.step(.reopen(to: .active, reason: "r")) == ["ExperimentReopened"])
    }

    @Test func `the reason of the end can be put right`() throws {
        var ledger = try ledger(.ended)
        #expect(
            try ledger.apply(hero("ended", spec: #","endedReason":"tech_issue""#))
                == ["ExperimentUpdated"])
        #expect(ledger.experiment()?.endedReason == .techIssue)
    }

    @Test func `the subject type can't change once an experiment has been active`() throws {
        var ledger = try ledger(.draft)
        let typed = #","subjectType":"user""#
        #expect(try ledger.apply(hero(spec: typed)) == ["SubjectTypeCreated", "ExperimentUpdated"])
        try ledger.apply(hero("active", spec: typed))
        let refused = refusal { () throws(Refusal) in try ledger.apply(hero("active")) }
        #expect(refused?.problems.map(\.pointer) == ["/spec/subjectType"])
        #expect(refused?.detail.contains("USER") == true)
    }

    @Test func `a step of an unknown experiment is not found`() {
        var ledger = TestLedger()
        #expect(
            refusal { () throws(Refusal) in try ledger.step(.activate) }?.kind == .notFound)
    }
}
