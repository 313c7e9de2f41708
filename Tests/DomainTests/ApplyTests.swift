import JSON
import Testing

@testable import Domain

@Suite struct ApplyTests {
    private static let begun = ["LabCreated", "SubjectTypeCreated", "ExperimentCreated"]

    @Test(arguments: [
        (
            DocumentationExamples.draft,
            begun + ["VariantAdded", "VariantAdded", "CohortAdded"]
        ),
        (
            DocumentationExamples.secondCohort,
            begun + ["VariantAdded", "VariantAdded", "CohortAdded", "CohortAdded"]
        ),
        (
            DocumentationExamples.active,
            begun + [
                "VariantAdded", "VariantAdded", "VariantAdded", "CohortAdded", "CohortAdded",
                "ExperimentActivated",
            ]
        ),
        (
            DocumentationExamples.winner,
            begun + [
                "VariantAdded", "VariantAdded", "VariantAdded", "CohortAdded", "CohortAdded",
                "ExperimentActivated", "WinnerDeclared",
            ]
        ),
    ])
    func `each example of the documentation works on an empty ledger, and once`(
        document: String, events: [String]
    ) throws {
        var ledger = TestLedger()
        #expect(try ledger.apply(document) == events)
        #expect(try ledger.apply(document) == [])
        #expect(try ledger.replayed() == ledger.state)
        let experiment = try #require(ledger.experiment("HERO-NOV-2024"))
        #expect(experiment.lab == id("MARKETING"))
        #expect(experiment.subjectType == id("ANONYMOUS_ID"))
        #expect(experiment.variants[0].isControl)
        #expect(experiment.provenance.resourceVersion == 1)
    }

    @Test func `a past createdAt of a new cohort is kept, a missing one is now`() throws {
        var ledger = TestLedger()
        let now = ledger.now
        try ledger.apply(DocumentationExamples.secondCohort)
        let cohorts = try #require(ledger.experiment("HERO-NOV-2024")).cohorts
        #expect(cohorts.map(\.createdAt) == [Timestamp("2020-08-22T04:30:08Z"), now])
    }

    @Test func `the smallest set of events tells the difference`() throws {
        var ledger = TestLedger()
        try ledger.apply(hero())
        #expect(try ledger.apply(hero(metadata: #","name":"Hero""#)) == ["ExperimentUpdated"])
        let renamed = #"{"id":"control","isControl":true,"name":"C"},{"id":"treatment-a"}"#
        #expect(
            try ledger.apply(hero("active", variants: renamed + #",{"id":"b"}"#))
                == ["ExperimentUpdated", "VariantUpdated", "VariantAdded", "ExperimentActivated"])
        #expect(try ledger.apply(hero("active", variants: renamed)) == ["VariantRemoved"])
        #expect(ledger.experiment()?.provenance.resourceVersion == 4)
        #expect(try ledger.replayed() == ledger.state)
    }

    @Test func `a change names its fields before and after`() throws {
        var ledger = TestLedger()
        try ledger.apply(hero(metadata: #","name":"Old""#, spec: #","links":{"prd":"u"}"#))
        try ledger.apply(hero(metadata: #","name":"New","parentId":"web""#))
        let data = try JSONValue.parse(try #require(ledger.log.last).data)
        #expect(
            data["changes"]
                == json(
                    """
                    [{"field":"/metadata/name","before":"Old","after":"New"},
                    {"field":"/metadata/parentId","before":"DEFAULT","after":"WEB"},
                    {"field":"/spec/links","before":{"prd":"u"},"after":{}}]
                    """))
    }

    @Test func `fields that are null or empty are as if left out`() throws {
        var ledger = TestLedger()
        let empty = """
            {"schemaVersion":1,"kind":"experiment","metadata":{"id":"hero","status":null,
            "name":"","description":null,"parentKind":null,"parentId":null},
            "spec":{"subjectType":null,"hypothesis":"","links":null,"variants":null,
            "cohorts":null,"winningVariant":"","endedReason":null}}
            """
        let bare = #"{"schemaVersion":1,"kind":"experiment","metadata":{"id":"HERO"}}"#
        #expect(try ledger.apply(empty) == ["ExperimentCreated"])
        #expect(try ledger.apply(bare) == [])
        #expect(
            try ledger.apply(#"{"schemaVersion":1,"kind":"lab","metadata":{"id":"L"},"spec":null}"#)
                == ["LabCreated"])
        #expect(ledger.experiment()?.status == .draft)
        #expect(ledger.experiment()?.name == nil)
    }

    @Test func `a number is taken as the text it was written as`() throws {
        var ledger = TestLedger()
        try ledger.apply(
            #"{"schemaVersion":1,"kind":"experiment","metadata":{"id":2024,"name":1.50}}"#)
        #expect(ledger.experiment("2024")?.name == "1.50")
    }

    @Test(arguments: [
        (#""x""#, [""], "Expected an object, found a string."),
        ("{}", ["/schemaVersion", "/kind", "/metadata"], "is required"),
        (
            #"{"schemaVersion":2,"kind":"lab","metadata":{"id":"a"}}"#, ["/schemaVersion"],
            "must be 1"
        ),
        (#"{"schemaVersion":1,"kind":"Lab","metadata":{"id":"a"}}"#, ["/kind"], "subjecttype"),
        (#"{"schemaVersion":1,"kind":"lab","metadata":{"id":""}}"#, ["/metadata/id"], "required"),
        (#"{"schemaVersion":1,"kind":"","metadata":{"id":"a"}}"#, ["/kind"], "required"),
        (#"{"schemaVersion":1,"kind":"lab","metadata":{"id":"a b"}}"#, ["/metadata/id"], "a b"),
        (
            #"{"schemaVersion":1,"kind":"lab","metadata":{"id":true}}"#, ["/metadata/id"],
            "a boolean"
        ),
        (
            #"{"schemaVersion":1,"kind":"lab","metadata":{"id":"a","parentId":"b"}}"#,
            ["/metadata/parentId"], "Unknown field"
        ),
        (
            #"{"schemaVersion":1,"kind":"lab","metadata":{"id":"a","status":"draft"}}"#,
            ["/metadata/status"], "active, archived"
        ),
        (
            #"{"schemaVersion":1,"kind":"lab","metadata":{"id":"a"},"spec":{"a/b~":1}}"#,
            ["/spec/a~1b~0"], "Unknown field"
        ),
        (hero(metadata: #","parentKind":"experiment""#), ["/metadata/parentKind"], "lab"),
        (hero("running"), ["/metadata/status"], "winner_declared"),
        (hero(variants: #"{"id":""},null"#), ["/spec/variants/0/id", "/spec/variants/1"], "id"),
        (
            hero(cohorts: #"{"index":1.5,"createdAt":"yesterday","variants":[]}"#),
            ["/spec/cohorts/0/index", "/spec/cohorts/0/createdAt"], ""
        ),
        (
            hero(cohorts: cohort(1, ("control", 1.5), ("", 0.5))),
            ["/spec/cohorts/0/variants/0/split", "/spec/cohorts/0/variants/1/variant"], ""
        ),
    ])
    func `what is wrong with a document's form is said with its pointer`(
        document: String, pointers: [String], detail: String
    ) throws {
        let refused = try #require(
            refusal { () throws(Refusal) in
                try ResourceDocument(json(document))
            })
        #expect(refused.kind == .invalid)
        for pointer in pointers { #expect(refused.problems.contains { $0.pointer == pointer }) }
        #expect(
            Set(refused.problems.map { $0.pointer + $0.detail }).count == refused.problems.count)
        let said = refused.problems.map(\.detail).joined(separator: " ")
        #expect(detail.isEmpty || said.contains(detail), "\(said)")
    }

    @Test func `several documents are applied together or not at all`() throws {
        var ledger = TestLedger()
        let lab = #"{"schemaVersion":1,"kind":"lab","metadata":{"id":"web"}}"#
        let refused = refusal { () throws(Refusal) in
            try ledger.apply(lab, hero("active", cohorts: ""), hero("ended", id: "other"))
        }
        #expect(
            refused?.problems.map(\.pointer) == ["/1/spec/cohorts", "/2/spec/endedReason"])
        #expect(ledger.state == State())
        #expect(try ledger.apply(lab, hero()).count == 5)
    }

    @Test func `a refused command leaves the decider as it was`() throws {
        var decider = Decider(state: State(), now: Timestamp(microseconds: 0), nextPosition: 1)
        let documents = try [hero(), hero("ended", id: "other")].map { document in
            try ResourceDocument(json(document))
        }
        let refused = refusal { () throws(Refusal) in
            try decider.decide(.apply(documents, ApplyOptions()))
        }
        #expect(refused != nil)
        #expect(decider.state == State())
        #expect(decider.nextPosition == 1)
        #expect(try decider.decide(.apply([documents[0]], ApplyOptions())).events.count == 4)
    }

    @Test func `If-Match names the version there has to be`() throws {
        var ledger = TestLedger()
        let absent = refusal { () throws(Refusal) in
            try ledger.apply(hero(), options: ApplyOptions(expectedResourceVersion: 1))
        }
        #expect(absent?.kind == .preconditionFailed)
        try ledger.apply(hero())
        try ledger.apply(hero("active"), options: ApplyOptions(expectedResourceVersion: 1))
        let stale = refusal { () throws(Refusal) in
            try ledger.apply(hero("active"), options: ApplyOptions(expectedResourceVersion: 1))
        }
        #expect(stale?.kind == .preconditionFailed)
        #expect(stale?.detail.contains("2, not 1") == true)
        let several = refusal { () throws(Refusal) in
            try ledger.apply(
                hero("active"), hero(id: "b"), options: ApplyOptions(expectedResourceVersion: 2))
        }
        #expect(several?.kind == .invalid)
    }

    @Test func `resourceVersion counts updates and is ignored in a document`() throws {
        var ledger = TestLedger()
        for version in 1...4 {
            try ledger.apply(hero(metadata: #","resourceVersion":99,"name":"v\#(version)""#))
            #expect(ledger.experiment()?.provenance.resourceVersion == Int64(version))
        }
        try ledger.apply(hero(metadata: #","name":"v4""#))
        #expect(ledger.experiment()?.provenance.resourceVersion == 4)
    }

    @Test func `an archived lab or subject type takes no new experiment and keeps its own`() throws
    {
        var ledger = TestLedger()
        let inside = #","parentId":"web""#
        let typed = #","subjectType":"user""#
        try ledger.apply(hero(metadata: inside, spec: typed))
        for kind in [("lab", "web"), ("subjecttype", "user")] {
            try ledger.apply(
                """
                {"schemaVersion":1,"kind":"\(kind.0)",
                "metadata":{"id":"\(kind.1)","status":"archived"}}
                """)
        }
        let refused = refusal { () throws(Refusal) in
            try ledger.apply(hero(id: "other", metadata: inside, spec: typed))
        }
        #expect(refused?.problems.map(\.pointer) == ["/metadata/parentId", "/spec/subjectType"])
        #expect(
            try ledger.apply(hero("active", metadata: inside, spec: typed))
                == ["ExperimentActivated"])
    }

    @Test func `lab DEFAULT and subject type ANY always exist and can't be archived`() throws {
        var ledger = TestLedger()
        #expect(ledger.state.labs[.defaultLab]?.status == .active)
        #expect(ledger.state.subjectTypes[.anySubjectType]?.status == .active)
        for (kind, name) in [("lab", "default"), ("subjecttype", "any")] {
            func document(_ rest: String) -> String {
                #"{"schemaVersion":1,"kind":"\#(kind)","metadata":{"id":"\#(name)"\#(rest)}}"#
            }
            let refused = refusal { () throws(Refusal) in
                try ledger.apply(document(#","status":"archived""#))
            }
            #expect(refused?.problems.map(\.pointer) == ["/metadata/status"])
            #expect(try ledger.apply(document(#","name":"Ours""#)).count == 1)
        }
        #expect(try ledger.apply(hero()).contains("LabCreated") == false)
        #expect(ledger.experiment()?.lab == .defaultLab)
        #expect(try ledger.replayed() == ledger.state)
    }

    @Test(arguments: [
        hero("draft", metadata: #","name":"N","description":"D""#),
        hero("draft", variants: "", cohorts: ""),
        hero("active", spec: #","hypothesis":"H","links":{"a/b":"1","é":"2"}"#),
        hero("winner_declared", spec: #","winningVariant":"control""#),
        hero("ended", spec: #","endedReason":"no_stat_sig""#),
        hero("archived", spec: #","endedReason":"success""#),
    ])
    func `what is read can be applied as it is and records nothing`(document: String) throws {
        var ledger = TestLedger()
        try ledger.apply(document)
        var writer = JSONWriter()
        writer.document(try #require(ledger.experiment()))
        #expect(try ledger.apply(writer.text) == [])
        for kind in [ResourceKind.lab, .subjectType] {
            for group in ledger.state.groups(kind).values {
                var writer = JSONWriter()
                writer.document(kind, group)
                #expect(try ledger.apply(writer.text) == [])
            }
        }
    }
}
