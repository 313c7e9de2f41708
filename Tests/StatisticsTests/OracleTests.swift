import Glibc
import SeededRandomness
import Testing

@testable import Statistics

/// Random cases, computed once more in Python with scipy and mpmath.
@Suite(.timeLimit(.minutes(5))) struct OracleTests {
    private static func size(_ generator: inout SeededGenerator) -> Int {
        Int(pow(10, Double.random(in: 0.5...7, using: &generator)))
    }

    private static func arm(_ generator: inout SeededGenerator, near: Double) -> EstimatedMean {
        let count = size(&generator)
        if Bool.random(using: &generator) {
            let hits = Int.random(in: 1..<count, using: &generator)
            let p = Double(hits) / Double(count)
            return EstimatedMean(count: count, mean: p, variance: p * (1 - p))
        }
        let spread = pow(10, Double.random(in: -3...3, using: &generator))
        let error = spread / Double(count).squareRoot()
        return EstimatedMean(
            count: count, mean: near + error * .random(in: -6...6, using: &generator),
            variance: spread * spread)
    }

    /// Estimate, standard error, low, high and p, of all four tests.
    private func figures(_ arms: some ComparedArms, _ level: SignificanceLevel) throws -> [Double] {
        try [Scale.absolute, .relative].flatMap { scale in
            try [arms.welch(scale, level), arms.alwaysValid(scale, level)].flatMap { outcome in
                let result = try outcome.get()
                return [
                    result.estimate, result.standardError, result.interval.low,
                    result.interval.high, result.p,
                ]
            }
        }
    }

    private func expectSame(_ figures: [[Double]], _ wanted: [[Double]], _ rows: [[Double]]) {
        #expect(figures.count == wanted.count)
        for (index, pair) in zip(figures, wanted).enumerated() {
            let (figures, wanted) = pair
            #expect(figures.count == wanted.count)
            for (place, pair) in zip(figures, wanted).enumerated() {
                // Relatively too, so that a small figure is not right by being small. A figure near
                // zero next to its standard error is as good as that error.
                let isTail = place % 5 == 4
                let scale = isTail ? 1e-300 : wanted[place / 5 * 5 + 1]
                #expect(
                    abs(pair.0 - pair.1) <= 1e-8 * max(abs(pair.1), scale),
                    "figure \(place) of \(rows[index])")
            }
        }
    }

    @Test func `tests of one and of several strata agree`() throws {
        var generator = SeededGenerator()
        var rows: [[Double]] = []
        var figures: [[Double]] = []
        for index in 0..<600 {
            let alpha = [0.05, 0.1, 0.01, 0.001][index % 4]
            let near = Double.random(in: 0.5...50, using: &generator)
            let strata = (0..<[1, 1, 2, 5][Int.random(in: 0..<4, using: &generator)]).map {
                Stratum(
                    name: "\($0)", control: Self.arm(&generator, near: near),
                    treatment: Self.arm(&generator, near: near))
            }
            rows.append(
                [alpha]
                    + strata.flatMap { [$0.control, $0.treatment] }.flatMap {
                        [Double($0.count), $0.mean, $0.variance]
                    })
            let level = try #require(SignificanceLevel(alpha))
            if strata.count == 1 {
                let plain = Contrast(control: strata[0].control, treatment: strata[0].treatment)
                figures.append(try self.figures(plain, level))
            } else {
                figures.append(try self.figures(StratifiedContrast(strata), level))
            }
        }
        let wanted = try PythonOracle.run(
            """
            import sys
            from math import exp, log, sqrt
            from scipy.stats import t

            for line in open(sys.argv[1]):
                alpha, *rest = map(float, line.split())
                strata = [rest[i:i + 6] for i in range(0, len(rest), 6)]
                N = sum(na + nb for na, _, _, nb, _, _ in strata)
                w = [(na + nb) / N for na, _, _, nb, _, _ in strata]
                ma = sum(w * s[1] for w, s in zip(w, strata))
                mb = sum(w * s[4] for w, s in zip(w, strata))
                a = [(w * w * s[2] / s[0], s[0] - 1) for w, s in zip(w, strata)]
                b = [(w * w * s[5] / s[3], s[3] - 1) for w, s in zip(w, strata)]
                Va = sum(v for v, _ in a)
                Vb = sum(v for v, _ in b)
                df = (Va + Vb) ** 2 / sum(v * v / k for v, k in a + b)
                rho2 = (-2 * log(alpha) + log(1 - 2 * log(alpha))) / 5000
                out = []
                for d, V in [(mb - ma, Va + Vb),
                             ((mb - ma) / ma, Vb / ma ** 2 + Va * mb ** 2 / ma ** 4)]:
                    se = sqrt(V)
                    half = t.isf(alpha / 2, df) * se
                    out += [d, se, d - half, d + half, 2 * t.sf(abs(d) / se, df)]
                    g = N * rho2 + 1
                    half = sqrt(V * N) * sqrt(2 * g / (N * N * rho2) * log(sqrt(g) / alpha))
                    p = min(1, sqrt(g) * exp(-N * rho2 * (d * d / V) / (2 * g)))
                    out += [d, se, d - half, d + half, p]
                print(*out)
            """, on: rows)
        expectSame(figures, wanted, rows)
    }

    @Test func `moments and Welch's p agree with those of the raw numbers`() throws {
        var generator = SeededGenerator()
        var rows: [[Double]] = []
        var figures: [[Double]] = []
        for _ in 0..<100 {
            let shift = [0, 1, 1e6][Int.random(in: 0..<3, using: &generator)]
            let arms = (0..<2).map { _ in
                (0..<Int.random(in: 2...200, using: &generator)).map { _ in
                    shift + Double.random(in: -1...1, using: &generator)
                }
            }
            rows.append([Double(arms[0].count)] + arms[0] + arms[1])
            let means = arms.map { EstimatedMean(Moments($0), .mean) }
            let contrast = Contrast(control: means[0], treatment: means[1])
            figures.append(
                means.flatMap { [$0.mean, $0.variance] } + [contrast.welch(.absolute).p])
        }
        let wanted = try PythonOracle.run(
            """
            import sys
            import numpy as np
            from scipy.stats import ttest_ind

            for line in open(sys.argv[1]):
                n, *rest = map(float, line.split())
                a, b = np.array(rest[:int(n)]), np.array(rest[int(n):])
                p = ttest_ind(a, b, equal_var=False).pvalue
                print(*map(float, [a.mean(), a.var(ddof=1), b.mean(), b.var(ddof=1), p]))
            """, on: rows)
        for (index, pair) in zip(figures, wanted).enumerated() {
            for (figure, wanted) in zip(pair.0, pair.1) {
                #expect(close(figure, wanted), "\(rows[index])")
            }
        }
        #expect(wanted.count == figures.count)
    }

    @Test func `sample ratio tests agree`() throws {
        var generator = SeededGenerator()
        var rows: [[Double]] = []
        var figures: [[Double]] = []
        for _ in 0..<300 {
            let splits = (0..<Int.random(in: 2...6, using: &generator)).map { _ in
                Double.random(in: 0.05...1, using: &generator)
            }
            let total = splits.reduce(0, +)
            let units = Double(Self.size(&generator)) + 20
            let counts = splits.map { split in
                let expected = units * split / total
                return max(
                    0, expected + expected.squareRoot() * .random(in: -3...3, using: &generator)
                )
                .rounded()
            }
            rows.append(counts + splits)
            let arms = zip(counts, splits).map {
                SampleRatioTest.Arm(count: Int($0), split: $1)
            }
            let unpromised = SampleRatioTest.Arm(count: 9, split: 0)
            let test = SampleRatioTest(cohorts: [arms + [unpromised]])
            figures.append([test.total.statistic, test.p])
        }
        let wanted = try PythonOracle.run(
            """
            import sys
            import numpy as np
            from scipy.stats import chisquare

            for line in open(sys.argv[1]):
                numbers = np.array(list(map(float, line.split())))
                counts, splits = np.split(numbers, 2)
                test = chisquare(counts, splits / splits.sum() * counts.sum())
                print(float(test.statistic), float(test.pvalue))
            """, on: rows)
        for (index, pair) in zip(figures, wanted).enumerated() {
            #expect(close(pair.0[0], pair.1[0]), "\(rows[index])")
            #expect(relativelyClose(pair.0[1], pair.1[1], 1e-8), "\(rows[index])")
        }
        #expect(wanted.count == figures.count)
    }

    @Test func `distributions agree to ten digits, far into their tails`() throws {
        var generator = SeededGenerator()
        var rows: [[Double]] = []
        var figures: [[Double]] = []
        for _ in 0..<400 {
            let df = pow(10, Double.random(in: 0...7, using: &generator))
            let t = pow(10, Double.random(in: -3...1.5, using: &generator))
            let student = StudentT(degreesOfFreedom: df)
            rows.append([0, df, t])
            figures.append([student.twoSidedTail(t)])

            let p = pow(10, Double.random(in: -40 ... -0.05, using: &generator))
            if p > 1e-12 || df > 50 {
                rows.append([1, df, p])
                figures.append([student.twoSidedQuantile(p)])
            }
            let k = Int(pow(10, Double.random(in: 0...4, using: &generator)))
            let far = Double.random(in: -4...30, using: &generator)
            let statistic = max(1e-3, Double(k) + far * Double(2 * k).squareRoot())
            rows.append([2, Double(k), statistic])
            figures.append([ChiSquare(degreesOfFreedom: k).upperTail(statistic)])

            let lower = pow(10, Double.random(in: -290 ... -0.01, using: &generator))
            rows.append([3, 0, lower])
            figures.append([Normal.quantile(lower)])
        }
        let wanted = try PythonOracle.run(
            """
            import sys
            from mpmath import mp, mpf, betainc, erfc, gammainc, inf, sqrt
            from scipy.stats import norm, t
            mp.dps = 50

            def tail(x, df):
                x, df = mpf(x), mpf(df)
                return betainc(df / 2, mpf(1) / 2, 0, df / (df + x * x), regularized=True)

            def polished(f, x):
                # Two secant steps in the logarithm take scipy's quantile to full precision.
                return mp.findroot(f, (mpf(x), mpf(x) * (1 + mpf(10) ** -8)), tol=1e-30,
                                   maxsteps=8, verify=False)

            for line in open(sys.argv[1]):
                kind, parameter, x = map(float, line.split())
                if kind == 0:
                    value = tail(x, parameter)
                elif kind == 1:
                    start = t.isf(x / 2, parameter)
                    value = polished(lambda u: mp.log(tail(u, parameter) / mpf(x)), start)
                elif kind == 2:
                    value = gammainc(mpf(parameter) / 2, mpf(x) / 2, inf, regularized=True)
                else:
                    start = norm.ppf(x)
                    value = polished(lambda z: mp.log(erfc(-z / sqrt(2)) / 2 / mpf(x)), start)
                print(float(value))
            """, on: rows)
        #expect(wanted.count == figures.count)
        for (index, pair) in zip(figures, wanted).enumerated() {
            #expect(relativelyClose(pair.0[0], pair.1[0], 1e-10), "\(rows[index]) \(pair)")
        }
    }
}
