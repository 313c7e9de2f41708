import Testing

@testable import Statistics

struct VerdictTests {
    private let even = SampleRatioTest(cohorts: [
        [.init(count: 1_000, split: 0.5), .init(count: 1_010, split: 0.5)]
    ])

    private func contrast(
        _ control: Double, _ treatment: Double, count: Int = 10_000, variance: Double = 1
    ) -> Contrast {
        Contrast(
            control: EstimatedMean(count: count, mean: control, variance: variance),
            treatment: EstimatedMean(count: count, mean: treatment, variance: variance))
    }

    @Test func `the words are these`() {
        #expect(
            Verdict.allCases.map(\.text) == ["none yet", "better", "worse", "no difference seen"])
    }

    @Test func `an interval above zero is better, below zero worse`() {
        let rule = VerdictRule()
        let better = rule.decide(contrast(10, 10.5), sampleRatio: even)
        #expect(better.verdict == .better)
        #expect(better.evidence.hasPrefix("The difference is 0.5, and its always-valid 95 %"))
        #expect(better.evidence.hasSuffix("excludes 0."))
        #expect(rule.decide(contrast(10, 9.5), sampleRatio: even).verdict == .worse)
    }

    @Test func `where lower is better the words change places`() {
        let rule = VerdictRule(higherIsBetter: false)
        #expect(rule.decide(contrast(10, 10.5), sampleRatio: even).verdict == .worse)
        #expect(rule.decide(contrast(10, 9.5), sampleRatio: even).verdict == .better)
    }

    @Test func `an interval that excludes all that matters shows no difference`() {
        let rule = VerdictRule(minimumEffect: 0.01)
        let close = rule.decide(contrast(10, 10.001, variance: 0.5), sampleRatio: even)
        #expect(close.verdict == .noDifferenceSeen)
        #expect(close.evidence.hasSuffix("lies within 1 % of the control's mean around 0."))
        let below = rule.decide(contrast(-10, -10.001, variance: 0.5), sampleRatio: even)
        #expect(below.verdict == .noDifferenceSeen)
        let wide = rule.decide(contrast(10, 10.001, variance: 50), sampleRatio: even)
        #expect(wide.verdict == .noneYet)
        #expect(wide.evidence.hasSuffix("includes both 0 and more than 1 % of the control's mean."))
        let demanding = VerdictRule(minimumEffect: 0.0001)
        #expect(
            demanding.decide(contrast(10, 10.001, variance: 0.5), sampleRatio: even).verdict
                == .noneYet)
    }

    @Test func `a broken split comes before everything else`() {
        let broken = SampleRatioTest(cohorts: [
            [.init(count: 1_000, split: 0.5), .init(count: 1_300, split: 0.5)]
        ])
        let decision = VerdictRule().decide(contrast(10, 10.5), sampleRatio: broken)
        #expect(decision.verdict == .noneYet)
        #expect(
            decision.evidence.hasPrefix("The arms' shares of units differ from the split (sample"))
    }

    @Test func `without a result there is none yet, and the reason is told`() {
        let decision = VerdictRule().decide(contrast(10, 11, count: 1), sampleRatio: even)
        #expect(decision.verdict == .noneYet)
        #expect(decision.evidence == "There is no interval of the difference: too few units.")
        let constant = VerdictRule().decide(contrast(10, 11, variance: 0), sampleRatio: even)
        #expect(constant.evidence == "There is no interval of the difference: no variance.")
    }

    @Test func `Welch's interval alone is no verdict`() throws {
        // The worked example: p = 0.037 when looked at once, 0.39 when looked at always.
        let contrast = Contrast(
            control: EstimatedMean(count: 1_000, mean: 0.1, variance: 0.09),
            treatment: EstimatedMean(count: 1_010, mean: 131.0 / 1_010, variance: 0.1128776))
        #expect(contrast.welch(.absolute).p < 0.05)
        #expect(VerdictRule().decide(contrast, sampleRatio: even).verdict == .noneYet)
    }

    @Test(arguments: [
        (0, "0"), (1, "1"), (-0.0297029703, "-0.0297"), (12_345_678, "12350000"),
        (99.999, "100"), (1e-9, "1e-09"), (0.05, "0.05"), (95, "95"), (1.23456e200, "1.235e+200"),
        (.leastNonzeroMagnitude, "5e-324"),
    ])
    func `figures in sentences are short`(_ value: Double, _ text: String) {
        #expect(shortText(value) == text)
    }
}
