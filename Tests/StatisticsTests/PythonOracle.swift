import Foundation
import Synchronization
import Testing

/// A Python with scipy and mpmath, in a virtual environment that is kept from run to run.
///
/// Where the packages can't be had, the tests that ask for them are cancelled, and say so.
final class PythonOracle: Sendable {
    static let shared = PythonOracle()

    private static let packages = ["mpmath==1.3.0", "numpy==2.2.6", "scipy==1.15.3"]
    private static let secondsMax = 120

    private let python = Mutex<Result<String, Failure>?>(nil)

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Runs a script on lines of numbers, and gives back the lines of numbers it prints.
    ///
    /// A number crosses as its shortest decimal form, which loses nothing in either direction.
    func run(_ script: String, on rows: [[Double]]) throws -> [[Double]] {
        let python = try ready()
        let input = rows.map { $0.map { "\($0)" }.joined(separator: " ") }.joined(separator: "\n")
        let directory = FileManager.default.temporaryDirectory
            .appending(path: "ledger-oracle-run-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let (inputFile, scriptFile) = (
            directory.appending(path: "input"), directory.appending(path: "script.py")
        )
        try Data(input.utf8).write(to: inputFile)
        try Data(script.utf8).write(to: scriptFile)
        let output = try Self.execute([python, scriptFile.path, inputFile.path])
        return try output.split(separator: "\n").map { line in
            try line.split(separator: " ").map { try #require(Double($0), "\(line)") }
        }
    }

    /// The environment's Python, made on first use; cancels the test where it can't be made.
    private func ready() throws -> String {
        let made = python.withLock { python in
            let made =
                python ?? Result { try Self.prepare() }.mapError { Failure(description: "\($0)") }
            python = made
            return made
        }
        switch made {
        case .success(let python): return python
        case .failure(let failure): try Test.cancel("No scipy to compare with: \(failure)")
        }
    }

    private static func prepare() throws -> String {
        let name = packages.joined(separator: "-").replacing("==", with: "-")
        let kept = FileManager.default.temporaryDirectory.appending(path: "ledger-oracle-\(name)")
        let python = kept.appending(path: "bin/python3").path
        let check = [python, "-c", "import mpmath, scipy.stats"]
        if FileManager.default.isExecutableFile(atPath: python),
            (try? execute(check)) != nil
        {
            return python
        }
        // Two runs at once each make it in place; pip leaves alone what is there already.
        try execute(["/usr/bin/env", "python3", "-m", "venv", kept.path])
        try execute(
            [
                python, "-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "15",
            ] + packages)
        try execute(check)
        return python
    }

    /// Runs a program to its end, in bounded time, and gives back what it printed.
    @discardableResult
    private static func execute(_ command: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["timeout", "\(secondsMax)"] + command
        let (output, errors) = (Pipe(), Pipe())
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let complaint = Mutex(Data())
        let reader = Thread {
            let data = errors.fileHandleForReading.readDataToEndOfFile()
            complaint.withLock { $0 = data }
        }
        reader.start()
        let printed = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        if process.terminationStatus != 0 {
            let said = String(decoding: complaint.withLock { $0 }, as: UTF8.self)
            throw Failure(
                description: "\(command.joined(separator: " ")) ended with "
                    + "\(process.terminationStatus): \(said.suffix(2_000))")
        }
        return String(decoding: printed, as: UTF8.self)
    }
}
