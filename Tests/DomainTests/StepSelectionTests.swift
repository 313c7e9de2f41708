import JSON
import SeededRandomness
import Testing

@testable import Domain

@Suite struct StepSelectionTests {
    /// Two variants of the same weight, drawn by a bucket.
    private func halves(
        _ function: String = "checkout", _ name: String = "layout", _ version: HashVersion = .plain
    ) -> StepExperiment {
        StepExperiment(function: function, name: name, variants: ["a", "b"], hashVersion: version)
    }

    private func error(
        _ strategy: StepStrategy, variants: [String] = ["a", "b"]
    ) -> StepSelectionError? {
        let experiment = StepExperiment(function: "f", name: "e", variants: variants)
        do throws(StepSelectionError) {
            _ = try experiment.select(strategy, run: "r")
            return nil
        } catch { return error }
    }

    // MARK: Strategies

    @Test func `custom and fixed give the named variant and draw nothing`() throws {
        for strategy in [StepStrategy.custom("b"), .fixed("b")] {
            let selection = try halves().select(strategy, run: "r")
            #expect(selection.variant == "b")
            #expect(selection.h == nil && selection.bucketHash == nil && selection.walk.isEmpty)
            #expect(!selection.nullishBucket)
        }
    }

    @Test func `a null or missing bucket value counts as the empty text and is flagged`() throws {
        let empty = try halves().select(.bucket(""), run: "r")
        #expect(!empty.nullishBucket)
        for value in [nil, JSONValue.null] {
            let selection = try halves().select(.bucket(value), run: "r")
            #expect(selection.nullishBucket)
            #expect(selection.h == empty.h && selection.variant == empty.variant)
            #expect(
                selection.bucketHash
                    == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        }
    }

    @Test func `a bucket follows its value, a weighted draw its run`() throws {
        let weights = [("a", 1.0), ("b", 1.0)]
        let buckets = try ["r1", "r2"].map { try halves().select(.bucket("u"), run: $0).h }
        #expect(buckets[0] == buckets[1])
        let draws = try ["r1", "r2"].map { try halves().select(.weighted(weights), run: $0).h }
        #expect(draws[0] != draws[1])
        #expect(try halves().select(.weighted(weights), run: "u").h == buckets[0])
        #expect(try halves().select(.weighted(weights), run: "u").bucketHash == nil)
    }

    @Test func `the hash of a bucket is of the value alone`() throws {
        let hash = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"
        for version in HashVersion.allCases {
            let experiment = halves("checkout", "layout", version)
            #expect(try experiment.select(.bucket("alice"), run: "r").bucketHash == hash)
        }
    }

    // MARK: Salt

    @Test func `a salted seed has the names before it, each after its length in bytes`() throws {
        let salted = try halves("ä/b", "e", .salted).select(.bucket("u"), run: "r")
        let plain = try halves().select(.bucket("4:ä/b/1:e/u"), run: "r")
        #expect(salted.h == plain.h)
    }

    @Test func `names that only join to the same text do not share a seed`() throws {
        let draws = try [("a/b", "c", "u"), ("a", "b/c", "u"), ("a", "b", "c/u")].map {
            try halves($0, $1, .salted).select(.bucket(.string($2)), run: "r").h
        }
        #expect(Set(draws).count == 3)
    }

    @Test func `plain experiments split the same users alike, salted ones independently`() throws {
        var alike = [HashVersion: Int]()
        for user in 0..<4_000 {
            for version in HashVersion.allCases {
                let variants = try ["layout", "price"].map {
                    try halves("checkout", $0, version).select(
                        .bucket(.string("u\(user)")), run: "r"
                    ).variant
                }
                alike[version, default: 0] += variants[0] == variants[1] ? 1 : 0
            }
        }
        #expect(alike[.plain] == 4_000)
        #expect((1_800...2_200).contains(alike[.salted] ?? 0))
    }

    @Test(arguments: HashVersion.allCases)
    func `variants get shares like their weights`(version: HashVersion) throws {
        let weights = [("c", 2.0), ("b", 0.0), ("a", 1.0), ("d", 5.0)]
        let experiment = StepExperiment(
            function: "f", name: "e", variants: weights.map(\.0), hashVersion: version)
        var random = SeededGenerator()
        var counts: [String: Double] = [:]
        for _ in 0..<16_000 {
            let run = String(random.next(), radix: 32)
            counts[try experiment.select(.weighted(weights), run: run).variant, default: 0] += 1
        }
        #expect(counts["b"] == nil)
        for (name, weight) in weights where weight > 0 {
            #expect(abs(counts[name, default: 0] / 16_000 - weight / 8) < 0.025)
        }
    }

    // MARK: Names and refusals

    @Test func `names that differ only in normalisation are two variants`() throws {
        let names = ["\u{E9}", "e\u{301}"]
        let experiment = StepExperiment(function: "f", name: "e", variants: names)
        for name in names {
            #expect(try experiment.select(.fixed(name), run: "r").variant.isExactly(name))
            let weights = names.map { ($0, $0.isExactly(name) ? 1.0 : 0) }
            #expect(
                try experiment.select(.weighted(weights), run: "r").variant.isExactly(name))
        }
        #expect(
            error(.fixed("e\u{301}"), variants: ["\u{E9}"])
                == .undeclaredVariant("e\u{301}", declared: ["\u{E9}"]))
        #expect(
            error(.bucket(nil), variants: ["\u{E9}", "a", "e\u{301}", "\u{E9}"])
                == .duplicateVariant("\u{E9}"))
    }

    @Test func `a list of variants is neither empty nor has empty or repeated names`() {
        for strategy in [StepStrategy.weighted([("a", 1)]), .bucket("u"), .custom("a"), .fixed("")]
        {
            #expect(error(strategy, variants: []) == .noVariants)
            #expect(error(strategy, variants: ["a", ""]) == .emptyVariantName)
            #expect(error(strategy, variants: ["a", "b", "a"]) == .duplicateVariant("a"))
        }
    }

    @Test func `a variant that is not declared is refused by name`() {
        let undeclared = StepSelectionError.undeclaredVariant("A", declared: ["a", "b"])
        #expect(error(.custom("A")) == undeclared)
        #expect(error(.fixed("A")) == undeclared)
        #expect(error(.weighted([("A", 1)])) == undeclared)
        #expect(undeclared.description.contains("A is selected"))
        #expect(undeclared.description.contains("(a, b)"))
    }

    @Test func `weights are finite, not negative, one a name, and not all 0`() {
        for weight in [-1, -.leastNonzeroMagnitude, Double.nan, .infinity, -.infinity] {
            guard case .invalidWeight("b", _) = error(.weighted([("a", 1), ("b", weight)])) else {
                Issue.record("\(weight)")
                continue
            }
        }
        #expect(error(.weighted([])) == .noWeight)
        #expect(error(.bucket("u", weights: [])) == .noWeight)
        #expect(error(.weighted([("a", 0), ("b", -0.0)])) == .noWeight)
        #expect(error(.bucket("u", weights: [("a", 1), ("a", 2)])) == .duplicateWeight("a"))
        #expect(
            StepSelectionError.invalidWeight("b", -1e21).description
                == "The weight of b is -1e+21; give a finite number of at least 0.")
    }
}
