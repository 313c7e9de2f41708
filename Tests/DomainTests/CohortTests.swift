import JSON
import Testing

@testable import Domain

@Suite struct CohortTests {
    private let past = "2024-01-01T00:00:00Z"
    private let first = cohort(
        1, at: "2024-01-01T00:00:00Z", ("control", 0.5), ("treatment-a", 0.5))
    private let second = cohort(2, ("control", 0.25), ("treatment-a", 0.75))

    private func started() throws -> TestLedger {
        var ledger = TestLedger()
        try ledger.apply(hero("active", cohorts: first))
        return ledger
    }

    @Test func `a new cohort carries the next index`() throws {
        var ledger = try started()
        let skipped = cohort(3, ("control", 1))
        let refused = refusal { () throws(Refusal) in
            try ledger.apply(hero("active", cohorts: "\(first),\(skipped)"))
        }
        #expect(refused?.problems.map(\.pointer) == ["/spec/cohorts/1/index"])
        #expect(refused?.detail.contains("must be 2, not 3") == true)
        #expect(
            try ledger.apply(hero("active", cohorts: "\(first),\(second)")) == ["CohortAdded"])
    }

    @Test func `an existing cohort never changes, and the refusal names what is stored`() throws {
        var ledger = try started()
        for splits in [
            [("control", 0.4), ("treatment-a", 0.6)], [("control", 1.0)],
            [("control", 0.5), ("control", 0.5)],
        ] {
            let changed = splits.map { #"{"variant":"\#($0.0)","split":\#($0.1)}"# }
            let refused = refusal { () throws(Refusal) in
                try ledger.apply(
                    hero(
                        "active",
                        cohorts: #"{"index":1,"variants":[\#(changed.joined(separator: ","))]}"#))
            }
            #expect(refused?.problems.map(\.pointer) == ["/spec/cohorts/0/variants"])
            #expect(refused?.detail.contains("CONTROL 0.5, TREATMENT-A 0.5") == true)
        }
        let moved = refusal { () throws(Refusal) in
            try ledger.apply(
                hero(
                    "active",
                    cohorts: cohort(
                        1, at: "2024-01-01T00:00:00.000001Z", ("control", 0.5),
                        ("treatment-a", 0.5))))
        }
        #expect(moved?.problems.map(\.pointer) == ["/spec/cohorts/0/createdAt"])
        #expect(moved?.detail.contains("2024-01-01T00:00:00.000000Z") == true)
    }

    @Test func `the same moment in another zone and another order of splits is no change`() throws {
        var ledger = try started()
        let same = cohort(
            1, at: "2024-01-01T01:30:00+01:30", ("treatment-a", 0.5), ("CONTROL", 0.5))
        #expect(try ledger.apply(hero("active", cohorts: same)) == [])
        let without = cohort(1, ("control", 0.5), ("treatment-a", 0.5))
        #expect(try ledger.apply(hero("active", cohorts: without)) == [])
    }

    @Test func `cohorts are never removed`() throws {
        var ledger = try started()
        try ledger.apply(hero("active", cohorts: "\(first),\(second)"))
        let refused = refusal { () throws(Refusal) in
            try ledger.apply(hero("active", cohorts: first))
        }
        #expect(refused?.problems.map(\.pointer) == ["/spec/cohorts"])
    }

    @Test(
        arguments: [
            ([0.3333, 0.3333, 0.3333], true), ([0.9995], true), ([0.9994], false),
            ([0.5004, 0.5], true),
            ([0.1, 0.2, 0.7], true), ([0, 1], true), ([0.5, 0.4], false), ([], false),
            ([0, 0], false),
            ([0.5006, 0.5], false),
        ] as [([Double], Bool)])
    func `splits sum to one when rounded to three decimals`(splits: [Double], valid: Bool) throws {
        var ledger = TestLedger()
        let names = ["a", "b", "c"]
        let shares = zip(names, splits).map { #"{"variant":"\#($0)","split":\#($1)}"# }
        let document = hero(
            variants: names.map { #"{"id":"\#($0)"}"# }.joined(separator: ","),
            cohorts: #"{"index":1,"variants":[\#(shares.joined(separator: ","))]}"#)
        let refused = refusal { () throws(Refusal) in try ledger.apply(document) }
        #expect(refused?.problems.map(\.pointer) == (valid ? nil : ["/spec/cohorts/0/variants"]))
    }

    @Test func `a cohort names each of the experiment's variants at most once`() throws {
        var ledger = TestLedger()
        let refused = refusal { () throws(Refusal) in
            try ledger.apply(
                hero(cohorts: cohort(1, ("control", 0.5), ("CONTROL", 0.25), ("other", 0.25))))
        }
        #expect(
            refused?.problems.map(\.pointer) == [
                "/spec/cohorts/0/variants/1/variant", "/spec/cohorts/0/variants/2/variant",
            ])
    }

    @Test func `a variant that a cohort names can't be removed, another can`() throws {
        var ledger = try started()
        let control = #"{"id":"control","isControl":true}"#
        let refused = refusal { () throws(Refusal) in
            try ledger.apply(hero("active", variants: control, cohorts: first))
        }
        #expect(refused?.problems.map(\.pointer) == ["/spec/variants"])
        #expect(refused?.detail.contains("TREATMENT-A is named by cohort 1") == true)
        let more = control + #",{"id":"treatment-a"},{"id":"b"}"#
        try ledger.apply(hero("active", variants: more, cohorts: first))
        #expect(try ledger.apply(hero("active", cohorts: first)) == ["VariantRemoved"])
    }

    @Test func `variants are unique and at most one is the control`() throws {
        var ledger = TestLedger()
        let refused = refusal { () throws(Refusal) in
            try ledger.apply(
                hero(
                    variants: """
                        {"id":"control","isControl":true},{"id":"Control"},
                        {"id":"treatment-a","isControl":true}
                        """))
        }
        #expect(
            refused?.problems.map(\.pointer) == [
                "/spec/variants/1/id", "/spec/variants/2/isControl",
            ])
    }

    @Test func `a step that adds a cohort keeps the same rules, with pointers into the cohort`()
        throws
    {
        var ledger = try started()
        func add(_ text: String) -> Refusal? {
            refusal { () throws(Refusal) in
                try ledger.step(.addCohort(try ResourceDocument.cohort(json(text))))
            }
        }
        #expect(add(cohort(3, ("control", 1)))?.problems.map(\.pointer) == ["/index"])
        #expect(add(cohort(2, ("other", 1)))?.problems.map(\.pointer) == ["/variants/0/variant"])
        #expect(add(cohort(2, ("", 1)))?.problems.map(\.pointer) == ["/variants/0/variant"])
        #expect(add(second) == nil)
        try ledger.step(.end(.success))
        #expect(add(cohort(3, ("control", 1)))?.problems.map(\.pointer) == [""])
        #expect(try ledger.replayed() == ledger.state)
    }
}
