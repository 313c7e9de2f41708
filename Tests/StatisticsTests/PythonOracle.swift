import PythonEnvironment
import Testing

/// A Python with scipy and mpmath.
///
/// Where the packages can't be had, the tests that ask for them are cancelled, and say so.
enum PythonOracle {
    private static let environment = PythonEnvironment(
        packages: ["mpmath==1.3.0", "numpy==2.2.6", "scipy==1.15.3"],
        check: "import mpmath, scipy.stats")

    /// Runs a script on lines of numbers, and gives back the lines of numbers it prints.
    ///
    /// A number crosses as its shortest decimal form, which loses nothing in either direction.
    static func run(_ script: String, on rows: [[Double]]) throws -> [[Double]] {
        do throws(PythonEnvironment.Failure) { try environment.ready() } catch {
            try Test.cancel("No scipy to compare with: \(error)")
        }
        let input = rows.map { $0.map { "\($0)" }.joined(separator: " ") }.joined(separator: "\n")
        return try environment.run(script, on: input).split(separator: "\n").map { line in
            try line.split(separator: " ").map { try #require(Double($0), "\(line)") }
        }
    }
}
