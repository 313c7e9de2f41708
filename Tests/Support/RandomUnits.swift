import Domain
import JSON

/// Random commands about few units, so that they meet each other again and again.
package enum RandomUnits {
    /// Names that Swift's own equality mixes up, among others.
    private static let functions = ["sum/doc", "\u{E9}", "e\u{301}"]
    private static let experiments = ["model", "\u{1F600} %2F"]
    private static let variants = ["a", "B", "\u{E9}", "e\u{301}"]
    private static let scores = ["quality", "done"]

    package static func command(_ generator: inout some RandomNumberGenerator) -> Command {
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<4: .select(selection(&generator))
        case 4:
            .rollOut(
                step(&generator),
                RolloutRequest(
                    entries: (0..<3).map { _ in
                        RolloutRequest.Entry(
                            key: key(&generator), variant: variants.randomElement(using: &generator)
                        )
                    }))
        case 5:
            .retract(
                RetractionRequest(
                    position: Int64.random(in: 1...400, using: &generator), reason: "random"))
        default:
            .score((0..<Int.random(in: 1...4, using: &generator)).map { _ in score(&generator) })
        }
    }

    private static func step(_ generator: inout some RandomNumberGenerator) -> StepKey {
        StepKey(
            function: functions.randomElement(using: &generator) ?? "f",
            name: experiments.randomElement(using: &generator) ?? "e")
    }

    private static func key(_ generator: inout some RandomNumberGenerator) -> String {
        "acct/\(Int.random(in: 0..<4, using: &generator))"
    }

    private static func run(_ generator: inout some RandomNumberGenerator) -> String {
        "run/\(Int.random(in: 0..<12, using: &generator))"
    }

    package static func selection(
        _ generator: inout some RandomNumberGenerator
    ) -> SelectionRequest {
        let strategy = SelectionStrategy.allCases.randomElement(using: &generator) ?? .weighted
        let first = variants.randomElement(using: &generator) ?? "a"
        var declared = StepDefinition(
            strategy: strategy, variants: variants,
            weights: strategy == .weighted || Bool.random(using: &generator)
                ? variants.map {
                    Weight(variant: $0, weight: Double(Int.random(in: 0...2, using: &generator)))
                } : nil,
            hashVersion: Bool.random(using: &generator) ? .plain : .salted)
        declared.fixed = strategy == .fixed ? first : nil
        let isNamed = strategy == .fixed || (strategy == .custom && Bool.random(using: &generator))
        return SelectionRequest(
            step: step(&generator), run: run(&generator), declared: declared,
            value: strategy == .weighted ? nil : .string(key(&generator)),
            variant: isNamed ? first : nil)
    }

    package static func score(_ generator: inout some RandomNumberGenerator) -> ScoreRequest {
        let unit =
            Bool.random(using: &generator)
            ? UnitKey(step: step(&generator), run: run(&generator))
            : UnitKey(
                .managed(["ONE", "TWO", "THREE"].randomElement(using: &generator) ?? "ONE"),
                "user/\(Int.random(in: 0..<80, using: &generator))%\u{E9}")
        var score = ScoreRequest(
            unit: unit, name: scores.randomElement(using: &generator) ?? "quality",
            value: Bool.random(using: &generator)
                ? .number(Double.random(in: -3...9, using: &generator))
                : .boolean(Bool.random(using: &generator)))
        if Bool.random(using: &generator) {
            score.occurredAt = Timestamp(
                microseconds: Int64.random(in: 0...3, using: &generator) * 1_000_000)
        }
        score.quarantinesUnknown = Int.random(in: 0..<4, using: &generator) > 0
        return score
    }
}
