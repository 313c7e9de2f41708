import JSON
import SeededRandomness
import Testing

@testable import Domain

@Suite struct AppendTests {
    private func ledger(_ status: String = "active", _ spec: String = "") throws -> TestLedger {
        var ledger = TestLedger()
        try ledger.apply(hero(status, spec: spec))
        return ledger
    }

    @Test(arguments: [
        ("draft", "", "LabCreated", #"{"metadata":{"id":"l","name":"L"}}"#),
        ("draft", "", "SubjectTypeCreated", #"{"metadata":{"id":"t"}}"#),
        (
            "draft", "", "LabUpdated",
            #"{"lab":"default","changes":[{"field":"/metadata/name","after":"D"}]}"#
        ),
        (
            "draft", "", "SubjectTypeUpdated",
            #"{"subjectType":"any","changes":[{"field":"/metadata/description","after":"D"}]}"#
        ),
        (
            "draft", "", "ExperimentCreated",
            #"{"metadata":{"id":"e","name":"E"},"spec":{"hypothesis":"H","links":{"a":"b"}}}"#
        ),
        (
            "draft", "", "ExperimentUpdated",
            """
            {"experiment":"hero","changes":[{"field":"/spec/links","after":{"a":"b"}},
            {"field":"/metadata/parentId","after":"default"},
            {"field":"/spec/hypothesis","after":"H"}]}
            """
        ),
        ("draft", "", "VariantAdded", #"{"experiment":"hero","variant":{"id":"new"}}"#),
        (
            "draft", "", "VariantUpdated",
            """
            {"experiment":"hero","before":{"id":"control","isControl":true},
            "after":{"id":"control","isControl":true,"name":"C"}}
            """
        ),
        (
            "active", "", "CohortAdded",
            """
            {"experiment":"hero","cohort":{"index":2,"createdAt":"2020-01-01T00:00:00Z",
            "variants":[{"variant":"control","split":1}]}}
            """
        ),
        (
            "active", "", "CohortAdded",
            """
            {"experiment":"hero","cohort":{"index":2,
            "variants":[{"variant":"control","split":1}]}}
            """
        ),
        ("draft", "", "ExperimentActivated", #"{"experiment":"hero"}"#),
        ("active", "", "WinnerDeclared", #"{"experiment":"hero","variant":"control"}"#),
        ("active", "", "ExperimentEnded", #"{"experiment":"hero","reason":"success"}"#),
        ("ended", #","endedReason":"other""#, "ExperimentArchived", #"{"experiment":"hero"}"#),
        (
            "ended", #","endedReason":"other""#, "ExperimentReopened",
            #"{"experiment":"hero","to":"active","reason":"r"}"#
        ),
        ("active", "", "AssignmentMade", #"{"experiment":"hero","subject":"s"}"#),
    ])
    func `an event of each type can be appended, but not twice`(
        status: String, spec: String, type: String, data: String
    ) throws {
        var ledger = try ledger(status, spec)
        let before = ledger.state
        #expect(try ledger.append(type, data) == [type])
        #expect(ledger.state != before || type == "AssignmentMade")
        #expect(try ledger.replayed() == ledger.state)
        #expect(refusal { () throws(Refusal) in try ledger.append(type, data) } != nil)
    }

    @Test func `a variant that no cohort names can be removed by an event`() throws {
        var ledger = try ledger()
        try ledger.append("VariantAdded", #"{"experiment":"hero","variant":{"id":"new"}}"#)
        #expect(
            try ledger.append("VariantRemoved", #"{"experiment":"hero","variant":{"id":"new"}}"#)
                == ["VariantRemoved"])
    }

    @Test(arguments: [
        ("Nonsense", "{}", "/type"),
        ("KeyCreated", #"{"key":"k"}"#, "/type"),
        ("KeyRevoked", #"{"key":"k"}"#, "/type"),
        ("LabCreated", #"{"metadata":{}}"#, "/data/metadata/id"),
        ("LabCreated", #"{"metadata":{"id":"l","name":"a\u0000"}}"#, "/data/metadata/name"),
        ("LabCreated", #"{"metadata":{"id":"l","status":"draft"}}"#, "/data/metadata/status"),
        (
            "LabUpdated",
            #"{"lab":"default","changes":[{"field":"/metadata/status","after":"gone"}]}"#,
            "/data/changes/0/after"
        ),
        (
            "LabUpdated",
            #"{"lab":"default","changes":[{"field":"/spec/links","after":{"a":"b"}}]}"#,
            "/data/changes/0/field"
        ),
        (
            "LabUpdated",
            #"{"lab":"default","changes":[{"field":"/metadata/status","after":"archived"}]}"#,
            "/data"
        ),
        (
            "ExperimentCreated", #"{"metadata":{"id":"e"},"spec":{"variants":[{"id":"a"}]}}"#,
            "/data/spec/variants"
        ),
        (
            "ExperimentUpdated",
            #"{"experiment":"hero","changes":[{"field":"/metadata/status","after":"ended"}]}"#,
            "/data/changes/0/field"
        ),
        (
            "ExperimentUpdated",
            #"{"experiment":"hero","changes":[{"field":"/spec/winner","after":"ended"}]}"#,
            "/data/changes/0/field"
        ),
        (
            "VariantAdded",
            #"{"experiment":"hero","variant":{"id":"new","isControl":true}}"#,
            "/data/variant/isControl"
        ),
        (
            "VariantAdded", #"{"experiment":"hero","variant":{"id":"new","weight":1}}"#,
            "/data/variant/weight"
        ),
        ("VariantRemoved", #"{"experiment":"hero","variant":{"id":"control"}}"#, "/data"),
        (
            "CohortAdded",
            """
            {"experiment":"hero","cohort":{"index":3,
            "variants":[{"variant":"control","split":1}]}}
            """, "/data/cohort/index"
        ),
        (
            "CohortAdded",
            """
            {"experiment":"hero","cohort":{"index":2,
            "variants":[{"variant":"control","split":0.9}]}}
            """, "/data/cohort/variants"
        ),
        (
            "CohortAdded",
            """
            {"experiment":"hero","cohort":{"index":2,
            "variants":[{"variant":"control","split":1e400}]}}
            """, "/data/cohort/variants/0/split"
        ),
        ("WinnerDeclared", #"{"experiment":"hero","variant":"x"}"#, "/data/variant"),
        ("ExperimentEnded", #"{"experiment":"hero","reason":"bored"}"#, "/data/reason"),
        (
            "ExperimentReopened", #"{"experiment":"hero","to":"draft","reason":""}"#, "/data/reason"
        ),
        (
            "ExperimentReopened", #"{"experiment":"hero","to":"draft","reason":"\u0000"}"#,
            "/data/reason"
        ),
        ("AssignmentMade", #"{"experiment":"hero"}"#, "/data/subject"),
        ("AssignmentMade", #"{"experiment":"hero","subject":""}"#, "/data/subject"),
    ])
    func `an appended event can't break a rule, and the refusal points into it`(
        type: String, data: String, pointer: String
    ) throws {
        var ledger = try ledger()
        let before = ledger.state
        let refused = refusal { () throws(Refusal) in try ledger.append(type, data) }
        #expect(refused?.kind == .invalid)
        #expect(refused?.problems.contains { $0.pointer == pointer } == true, "\(refused as Any)")
        #expect(ledger.state == before)
    }

    @Test func `an assignment has to agree with the draw`() throws {
        var ledger = try ledger()
        let u = drawNumber(experiment: id("hero"), cohort: 1, subject: "s")
        let variant = u < 0.5 ? "control" : "treatment-a"
        let other = u < 0.5 ? "treatment-a" : "control"
        for (member, pointer) in [
            (#""variant":"\#(other)""#, "/data/variant"), (#""cohort":2"#, "/data/cohort"),
            (#""u":0.5"#, "/data/u"), (#""subjectType":"user""#, "/data/subjectType"),
        ] {
            let refused = refusal { () throws(Refusal) in
                try ledger.append(
                    "AssignmentMade", #"{"experiment":"hero","subject":"s",\#(member)}"#)
            }
            #expect(refused?.problems.map(\.pointer) == [pointer])
            #expect(ledger.facts.placements.isEmpty)
        }
        let agreed = """
            {"experiment":"hero","subject":"s","subjectType":"ANY","variant":"\(variant)",
            "cohort":1,"u":\(u)}
            """
        #expect(try ledger.append("AssignmentMade", agreed) == ["AssignmentMade"])
        let again = refusal { () throws(Refusal) in try ledger.append("AssignmentMade", agreed) }
        #expect(again?.kind == .conflict)
    }

    @Test func `an assignment is known by the subject the decision reads`() throws {
        var ledger = try ledger()
        let data = json(#"{"experiment":"hero","subject":123}"#)
        let command = Command.append([ProposedEvent(type: "AssignmentMade", data: data)])
        var needed = FactsNeeded()
        needed.add(command)
        #expect(needed.placed == [UnitKey(experiment: id("hero"), subject: "123")])
        try ledger.run(command)
        #expect(try ledger.assign("123")[0].reason == .existing)
    }

    @Test func `an assignment of an experiment that is not active is refused`() throws {
        for (status, spec) in [
            ("draft", ""), ("winner_declared", #","winningVariant":"control""#),
            ("ended", #","endedReason":"other""#),
        ] {
            var ledger = try ledger(status, spec)
            let refused = refusal { () throws(Refusal) in
                try ledger.append("AssignmentMade", #"{"experiment":"hero","subject":"s"}"#)
            }
            #expect(refused?.kind == .conflict)
        }
    }

    @Test(arguments: [
        (ExpectedVersion.any, true), (.exists, true), (.none, false), (.exactly(5), true),
        (.exactly(4), false), (.exactly(6), false),
    ])
    func `expectedVersion is the version of the event's stream`(
        expected: ExpectedVersion, admitted: Bool
    ) throws {
        var ledger = try ledger()
        var proposal = ProposedEvent(
            type: "ExperimentEnded", data: json(#"{"experiment":"hero","reason":"other"}"#))
        proposal.expectedVersion = expected
        let refused = refusal { () throws(Refusal) in try ledger.run(.append([proposal])) }
        #expect(refused?.kind == (admitted ? nil : .versionMismatch))
        #expect(refused?.actualVersion == (admitted ? nil : 5))
    }

    @Test func `the stream an event names must be its own`() throws {
        var ledger = try ledger()
        var proposal = ProposedEvent(
            type: "ExperimentArchived", data: json(#"{"experiment":"hero"}"#))
        proposal.stream = "experiment/OTHER"
        let refused = refusal { () throws(Refusal) in try ledger.run(.append([proposal])) }
        #expect(refused?.problems.map(\.pointer) == ["/stream"])
    }

    @Test func `events of one append are recorded together or not at all`() throws {
        var ledger = TestLedger()
        let created = ProposedEvent(
            type: "ExperimentCreated", data: json(#"{"metadata":{"id":"hero"}}"#))
        let activated = ProposedEvent(
            type: "ExperimentActivated", data: json(#"{"experiment":"hero"}"#))
        let refused = refusal { () throws(Refusal) in try ledger.run(.append([created, activated]))
        }
        #expect(refused?.problems.first?.pointer == "/1/data")
        #expect(ledger.state == State())
    }

    @Test func `what a proposal brings along goes to its events`() throws {
        var ledger = try ledger("draft")
        var generator = SeededGenerator()
        var proposal = ProposedEvent(
            type: "WinnerDeclared", data: json(#"{"experiment":"hero","variant":"control"}"#))
        proposal.id = EventID(at: ledger.now, using: &generator)
        proposal.correlation = "c"
        let decision = try ledger.run(.append([proposal]))
        #expect(decision.types == ["ExperimentActivated", "WinnerDeclared"])
        #expect(decision.proposed == [1])
        #expect(decision.events.map(\.id) == [nil, proposal.id])
        #expect(decision.events.map(\.correlation) == ["c", "c"])
    }
}
