import JSON
import Testing

@testable import Domain

/// The worked cases of the original implementation.
@Suite struct SelectionVectorTests {
    private struct Case: CustomStringConvertible {
        var strategy: StepStrategy
        var run: String
        var variants: [String]
        /// The name, the walk, and `h`; nil where the case is an error.
        var expected: (variant: String, order: [String], h: Double)?
        var description: String

        var experiment: StepExperiment {
            StepExperiment(function: "f", name: "e", variants: variants)
        }

        init(_ json: JSONValue) throws {
            let weights = try json["weights"]?.array?.map { pair in
                let pair = try #require(pair.array)
                // What JavaScript has that is no finite number, such as the text "50", is no weight
                // at all here: a weight is a Double before it comes to selection.
                return (try #require(pair[0].string), pair[1].double ?? .nan)
            }
            if json["strategy"] == "weighted" {
                strategy = .weighted(try #require(weights))
            } else {
                let literal = try #require(json["value"]?.string)
                strategy = .bucket(try JSONValue.parse(Array(literal.utf8)), weights: weights)
            }
            run = json["runId"]?.string ?? ""
            variants = try json["variants"]?.array?.map { try #require($0.string) } ?? []
            description = "\(json["seed"]?.string ?? "") \(json["weights"]?.encoded.count ?? 0)"
            if json["error"] == nil {
                expected = (
                    try #require(json["variant"]?.string),
                    try json["order"]?.array?.map { try #require($0.string) } ?? [],
                    try #require(json["h"]?.double)
                )
            }
        }
    }

    private static let cases: [Case] = {
        do {
            let document = try JSONValue.parse(PackageResources.selection_json)
            return try document["cases"]?.array?.map { try Case($0) } ?? []
        } catch { fatalError("\(error)") }
    }()

    /// The one case that contradicts the other 88: its weights are a: 0 and b: 1, so the sums of
    /// the walk are 0 and 1, and no `h` is below 0. It says `a` all the same, where the bucket
    /// "alice" gets `b` with these weights.
    private static let contradiction = "01K76BP1MAPE5KR630CH5DPG2N"

    private static let drawn = cases.filter { $0.expected != nil && $0.run != contradiction }

    @Test func `every case is run`() {
        #expect(Self.cases.count == 89)
        #expect(Self.drawn.count == 68)
        #expect(Self.cases.count { $0.run == Self.contradiction } == 1)
    }

    @Test(arguments: drawn)
    private func `a draw gives the variant, the order and h of the original`(sample: Case) throws {
        let expected = try #require(sample.expected)
        let selection = try sample.experiment.select(sample.strategy, run: sample.run)
        #expect(selection.h?.bitPattern == expected.h.bitPattern)
        #expect(selection.walk.count == expected.order.count)
        #expect(zip(selection.walk, expected.order).allSatisfy { $0.isExactly($1) })
        #expect(selection.variant.isExactly(expected.variant))
    }

    @Test(arguments: cases.filter { $0.expected == nil })
    private func `weights the original refuses are refused`(sample: Case) {
        #expect(throws: StepSelectionError.self) {
            try sample.experiment.select(sample.strategy, run: sample.run)
        }
    }

    @Test func `the case that contradicts the others agrees in h, but 0 draws nothing`() throws {
        let sample = try #require(Self.cases.first { $0.run == Self.contradiction })
        let expected = try #require(sample.expected)
        let selection = try sample.experiment.select(sample.strategy, run: sample.run)
        #expect(selection.h?.bitPattern == expected.h.bitPattern)
        #expect(selection.walk == expected.order)
        #expect(expected.variant == "a")
        #expect(selection.variant == "b")
    }
}
