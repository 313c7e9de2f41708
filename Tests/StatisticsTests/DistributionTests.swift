import Testing

@testable import Statistics

/// Figures from mpmath with forty digits.
struct DistributionTests {
    private static let error = 1e-12

    @Test(arguments: [
        (1, 1, 0.5), (0.5, 1.7, 0.67418452492432754), (1e6, 3, 2.2053155816792291e-18),
        (2, 10, 0.073388034770740366), (40, 200, 2.2487396535202507e-97),
        (12.5, 1e6, 7.5114116583558623e-36), (1.5, 1e8, 0.13361440569470752),
        (6, 1e8, 1.9731820343152871e-9), (0.001, 5, 0.99924078677219765),
        (30, 1e8, 9.833364285883265e-198),
    ])
    func `Student's tails`(_ t: Double, _ degreesOfFreedom: Double, _ p: Double) {
        let student = StudentT(degreesOfFreedom: degreesOfFreedom)
        #expect(relativelyClose(student.twoSidedTail(t), p, Self.error))
        #expect(student.twoSidedTail(-t) == student.twoSidedTail(t))
        // Near p = 1 the quantile hangs on the tail's last bits.
        if p < 0.9 { #expect(relativelyClose(student.twoSidedQuantile(p), t, Self.error)) }
    }

    @Test(arguments: [
        (0.05, 1, 12.706204736174704), (0.05, 10, 2.2281388519862747),
        (1e-12, 2, 999_999.99999925001), (0.001, 1e6, 3.2905364612486911),
        (0.9, 3.3, 0.13559091888878488),
    ])
    func `Student's quantiles`(_ p: Double, _ degreesOfFreedom: Double, _ t: Double) {
        let student = StudentT(degreesOfFreedom: degreesOfFreedom)
        #expect(relativelyClose(student.twoSidedQuantile(p), t, Self.error))
    }

    @Test func `Student's tails end in 1 and 0`() {
        for degreesOfFreedom in [1, 2.5, 1e3, 1e9] {
            let student = StudentT(degreesOfFreedom: degreesOfFreedom)
            #expect(student.twoSidedTail(0) == 1)
            #expect(student.twoSidedTail(.infinity) == 0)
        }
    }

    @Test(arguments: [
        (0.01, 1, 0.92034432544594204), (10.83, 1, 0.00099868637918025874),
        (400, 1, 5.5072482372124674e-89), (3, 2, 0.22313016014842983),
        (1_000, 3, 1.7994208765314477e-216), (50, 60, 0.81789608402254489),
        (2e4, 20_000, 0.4986701916600448), (21_500, 20_000, 1.206925514913981e-13),
        (1_300, 3, 1.4717437106980103e-281), (0, 1, 1), (0, 0, 1), (7, 0, 1),
    ])
    func `chi-square tails`(_ statistic: Double, _ degreesOfFreedom: Int, _ p: Double) {
        let figure = ChiSquare(degreesOfFreedom: degreesOfFreedom).upperTail(statistic)
        #expect(relativelyClose(figure, p, Self.error))
    }

    @Test(arguments: [
        (1e-300, -37.047096299361199), (1e-20, -9.2623400897984076),
        (0.025, -1.9599639845400542), (0.4, -0.2533471031357998), (0.5, 0),
        (0.9, 1.2815515655446005), (0.999, 3.0902323061678135),
    ])
    func `normal quantiles`(_ p: Double, _ z: Double) {
        #expect(relativelyClose(Normal.quantile(p), z, Self.error))
        #expect(relativelyClose(Normal.lowerTail(z), p, Self.error))
    }
}
