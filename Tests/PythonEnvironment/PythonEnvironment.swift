import Foundation
import Synchronization

/// A Python with packages of PyPI, in a virtual environment that is kept from run to run.
package final class PythonEnvironment: Sendable {
    private let packages: [String]
    private let check: String
    private let python = Mutex<Result<String, Failure>?>(nil)

    private static let secondsMax = 120

    /// Why there is no such Python, or what a script complained of.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// - Parameters:
    ///   - packages: With their versions, as `pip` takes them.
    ///   - check: A statement that succeeds where they are installed.
    package init(packages: [String], check: String) {
        self.packages = packages
        self.check = check
    }

    /// The environment's Python, made on first use; throws where the packages can't be had.
    @discardableResult
    package func ready() throws(Failure) -> String {
        try python.withLock { python in
            let made =
                python ?? Result { try prepare() }.mapError { Failure(description: "\($0)") }
            python = made
            return made
        }.get()
    }

    /// Runs a script, which finds the path of its input as `sys.argv[1]`, and gives back what it
    /// prints.
    package func run(_ script: String, on input: String) throws -> String {
        let python = try ready()
        let directory = FileManager.default.temporaryDirectory
            .appending(path: "ledger-python-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let (inputFile, scriptFile) = (
            directory.appending(path: "input"), directory.appending(path: "script.py")
        )
        try Data(input.utf8).write(to: inputFile)
        try Data(script.utf8).write(to: scriptFile)
        return try execute([python, scriptFile.path, inputFile.path])
    }

    private func prepare() throws -> String {
        let name = packages.joined(separator: "-").replacing("==", with: "-")
        let kept = FileManager.default.temporaryDirectory.appending(path: "ledger-oracle-\(name)")
        let python = kept.appending(path: "bin/python3").path
        let check = [python, "-c", check]
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
    private func execute(_ command: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["timeout", "\(Self.secondsMax)"] + command
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
