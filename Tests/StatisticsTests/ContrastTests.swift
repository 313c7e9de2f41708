import SeededRandomness
import Testing

@testable import Statistics

struct ContrastTests {
    private static let scales = [Scale.absolute, .relative]

    private func proportion(_ hits: Int, _ count: Int) -> EstimatedMean {
        let p = Double(hits) / Double(count)
        return EstimatedMean(count: count, mean: p, variance: p * (1 - p))
    }

    private func random(_ generator: inout SeededGenerator) -> EstimatedMean {
        EstimatedMean(
            count: .random(in: 2...5_000, using: &generator),
            mean: .random(in: 0.1...10, using: &generator),
            variance: .random(in: 0.01...20, using: &generator))
    }

    private func outcomes(_ arms: some ComparedArms) -> [TestOutcome] {
        Self.scales.flatMap { [arms.welch($0), arms.alwaysValid($0)] }
    }

    private func reason(_ outcome: TestOutcome) -> NoResult? {
        if case .failure(let reason) = outcome { return reason }
        return nil
    }

    @Test func `swapping the arms turns the difference around`() throws {
        var generator = SeededGenerator()
        for _ in 0..<500 {
            let arms = (random(&generator), random(&generator))
            let there = Contrast(control: arms.0, treatment: arms.1)
            let back = Contrast(control: arms.1, treatment: arms.0)
            for (left, right) in [
                (there.welch(.absolute), back.welch(.absolute)),
                (there.alwaysValid(.absolute), back.alwaysValid(.absolute)),
            ] {
                let (left, right) = (try left.get(), try right.get())
                #expect(left.estimate == -right.estimate)
                #expect(close(left.interval.low, -right.interval.high, 1e-12))
                #expect(close(left.p, right.p, 1e-12))
            }
        }
    }

    @Test func `the interval excludes zero where p is below the level`() throws {
        var generator = SeededGenerator()
        for _ in 0..<500 {
            let contrast = Contrast(control: random(&generator), treatment: random(&generator))
            for outcome in outcomes(contrast) {
                let result = try outcome.get()
                #expect(!result.interval.contains(0) == (result.p < result.level.alpha))
                #expect(0...1 ~= result.p)
                #expect(result.interval.contains(result.estimate))
            }
        }
    }

    @Test func `an always-valid interval is the wider one`() throws {
        var generator = SeededGenerator()
        for _ in 0..<500 {
            let contrast = Contrast(control: random(&generator), treatment: random(&generator))
            // With a handful of units Welch's can be wider: the other is asymptotic.
            if min(contrast.control.count, contrast.treatment.count) < 30 { continue }
            for scale in Self.scales {
                let once = try contrast.welch(scale).get().interval
                let always = try contrast.alwaysValid(scale).get().interval
                #expect(always.low < once.low && once.high < always.high)
            }
        }
    }

    @Test func `a stricter level widens the interval`() throws {
        let contrast = Contrast(control: proportion(100, 1_000), treatment: proportion(131, 1_010))
        let strict = try #require(SignificanceLevel(0.001))
        for scale in Self.scales {
            let usual = try contrast.alwaysValid(scale).get().interval
            #expect(try contrast.alwaysValid(scale, strict).get().interval.low < usual.low)
            let once = try contrast.welch(scale).get().interval
            #expect(try contrast.welch(scale, strict).get().interval.low < once.low)
        }
        for alpha in [0, 1, -0.1, 1.1, .nan] { #expect(SignificanceLevel(alpha) == nil) }
    }

    @Test func `without a baseline there is no relative result, but an absolute one`() throws {
        let zero = EstimatedMean(count: 100, mean: 0, variance: 2)
        let contrast = Contrast(control: zero, treatment: proportion(30, 100))
        #expect(reason(contrast.welch(.relative)) == .noBaseline)
        #expect(reason(contrast.alwaysValid(.relative)) == .noBaseline)
        #expect(contrast.welch(.relative).p == 1)
        #expect(contrast.welch(.relative).interval == nil)
        #expect(try contrast.welch(.absolute).get().estimate == 0.3)
    }

    @Test func `without variance in an arm there is no result`() throws {
        let some = proportion(30, 100)
        for constant in [proportion(0, 100), proportion(100, 100)] {
            let contrasts = [
                Contrast(control: some, treatment: constant),
                Contrast(control: constant, treatment: some),
            ]
            for contrast in contrasts {
                #expect(reason(contrast.welch(.absolute)) == .noVariance)
                #expect(reason(contrast.alwaysValid(.absolute)) == .noVariance)
                #expect(contrast.alwaysValid(.absolute).p == 1)
            }
            #expect(try contrasts[0].estimate(.absolute).get() == constant.mean - 0.3)
        }
    }

    @Test func `with fewer than two units in an arm there is no result`() {
        let some = EstimatedMean(count: 50, mean: 3, variance: 1)
        for few in [Moments(), Moments([4])] {
            let few = EstimatedMean(few, .mean)
            for contrast in [
                Contrast(control: some, treatment: few), Contrast(control: few, treatment: some),
                Contrast(control: few, treatment: few),
            ] {
                #expect(outcomes(contrast).allSatisfy { reason($0) == .tooFewUnits })
            }
        }
        #expect(outcomes(StratifiedContrast([])).allSatisfy { reason($0) == .tooFewUnits })
        #expect(NoResult.tooFewUnits.text == "too few units")
    }

    @Test func `numbers beyond reach give no result rather than a wrong one`() {
        let huge = EstimatedMean(Moments([1e300, -1e300, 1e200]), .mean)
        let some = EstimatedMean(count: 50, mean: 3, variance: 1)
        for contrast in [
            Contrast(control: some, treatment: huge), Contrast(control: huge, treatment: some),
        ] {
            #expect(outcomes(contrast).allSatisfy { reason($0) == .outOfRange })
        }
    }

    @Test func `one stratum is the plain contrast, to the last bit`() {
        var generator = SeededGenerator()
        for _ in 0..<200 {
            let arms = (random(&generator), random(&generator))
            let plain = Contrast(control: arms.0, treatment: arms.1)
            let stratum = Stratum(name: "0", control: arms.0, treatment: arms.1)
            let empty = EstimatedMean(Moments(), .mean)
            let bare = Stratum(name: "1", control: empty, treatment: arms.1)
            #expect(outcomes(StratifiedContrast([stratum])) == outcomes(plain))
            #expect(outcomes(StratifiedContrast([bare, stratum])) == outcomes(plain))
            // Welch and Satterthwaite's degrees of freedom, as they are usually written.
            let (a, b) = (arms.0, arms.1)
            let (va, vb) = (a.variance / Double(a.count), b.variance / Double(b.count))
            let wanted =
                (va + vb) * (va + vb)
                / (va * va / Double(a.count - 1) + vb * vb / Double(b.count - 1))
            let comparison = try? plain.comparison.get()
            #expect(relativelyClose(comparison?.degreesOfFreedom ?? 0, wanted, 1e-12))
        }
    }

    @Test func `a split that changes between cohorts does not turn the difference around`() throws {
        // The treatment is 2 points better in both cohorts, but got most of its units in the worse.
        let early = Stratum(
            name: "early", control: proportion(1_800, 9_000), treatment: proportion(220, 1_000))
        let late = Stratum(
            name: "late", control: proportion(50, 1_000), treatment: proportion(630, 9_000))
        let pooled = Contrast(
            control: proportion(1_850, 10_000), treatment: proportion(850, 10_000))
        let wrong = try pooled.alwaysValid(.absolute).get()
        #expect(wrong.interval.high < 0)
        let contrast = StratifiedContrast([early, late])
        let result = try contrast.welch(.absolute).get()
        #expect(close(result.estimate, 0.02, 1e-15))
        #expect(result.interval.low > 0)
        // Σ w m with equal weights: 0.125 against 0.145.
        #expect(close(try contrast.welch(.relative).get().estimate, 0.02 / 0.125, 1e-12))
        #expect(contrast.excluded.isEmpty)
    }

    @Test func `strata are weighed by their units and add up their variances`() throws {
        let strata = [
            Stratum(
                name: "0", control: EstimatedMean(count: 100, mean: 4, variance: 9),
                treatment: EstimatedMean(count: 200, mean: 5, variance: 8)),
            Stratum(
                name: "1", control: EstimatedMean(count: 50, mean: 2, variance: 1),
                treatment: EstimatedMean(count: 50, mean: 6, variance: 2)),
        ]
        let result = try StratifiedContrast(strata).welch(.absolute).get()
        #expect(close(result.estimate, 0.75 * 1 + 0.25 * 4, 1e-14))
        let parts: [(Double, Double)] = [
            (0.5625 * 9 / 100, 99.0), (0.5625 * 8 / 200, 199), (0.0625 / 50, 49),
            (0.0625 * 2 / 50, 49),
        ]
        let variance = parts.reduce(0) { $0 + $1.0 }
        #expect(close(result.standardError, variance.squareRoot(), 1e-14))
        let comparison = try StratifiedContrast(strata).comparison.get()
        let inverse = parts.reduce(0) { $0 + $1.0 * $1.0 / $1.1 }
        #expect(relativelyClose(comparison.degreesOfFreedom, variance * variance / inverse, 1e-13))
        #expect(comparison.units == 400)
        #expect(
            StratifiedContrast(strata.reversed()).welch(.relative).p
                == StratifiedContrast(strata).welch(.relative).p)
    }

    @Test func `strata with one arm only are left out and named`() throws {
        let empty = EstimatedMean(Moments(), .mean)
        let whole = Stratum(
            name: "2025-02", control: proportion(10, 100), treatment: proportion(30, 100))
        let contrast = StratifiedContrast([
            Stratum(name: "2025-01", control: proportion(1, 9), treatment: empty), whole,
            Stratum(name: "2025-03", control: proportion(1, 1), treatment: proportion(99, 100)),
        ])
        #expect(contrast.excluded == ["2025-01", "2025-03"])
        #expect(contrast.included == [whole])
        #expect(close(try contrast.estimate(.absolute).get(), 0.2, 1e-15))
    }

    @Test func `over many experiments without a difference, one in twenty is seen at most`() {
        var generator = SeededGenerator()
        var once = 0
        var always = 0
        for _ in 0..<1_000 {
            var arms = [Moments(), Moments()]
            var wasSeen = false
            for round in 1...20 {
                for _ in 0..<100 {
                    let score = Double.random(in: 0...1, using: &generator)
                    arms[Bool.random(using: &generator) ? 1 : 0].add(score)
                }
                let contrast = Contrast(
                    control: EstimatedMean(arms[0], .mean),
                    treatment: EstimatedMean(arms[1], .mean))
                if round == 20 && contrast.welch(.absolute).p < 0.05 { once += 1 }
                wasSeen = wasSeen || contrast.alwaysValid(.absolute).p < 0.05
            }
            if wasSeen { always += 1 }
        }
        // One in twenty is 50, and 90 is six standard deviations from it.
        #expect(once <= 90 && once >= 15)
        #expect(always <= 90)
    }
}
