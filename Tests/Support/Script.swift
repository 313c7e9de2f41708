import Foundation

/// The scripts of this repository, run as a user would.
package enum Script {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private static let repository = URL(filePath: #filePath)
        .deletingLastPathComponent().appending(path: "../..").standardizedFileURL

    /// Runs a script to its end; what it printed. Throws what it complained of if it failed.
    @discardableResult
    package static func run(
        _ path: String, _ arguments: [String] = [], environment: [String: String] = [:]
    ) throws -> String {
        let process = Process()
        process.executableURL = repository.appending(path: path)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let output = Pipe()
        let errors = FileManager.default.temporaryDirectory
            .appending(path: "ledger-script-\(UUID().uuidString)")
        try Data().write(to: errors)
        defer { try? FileManager.default.removeItem(at: errors) }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        let printed = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let said = String(decoding: try Data(contentsOf: errors), as: UTF8.self)
            throw Failure(
                description: "\(path) \(arguments.joined(separator: " ")) ended with "
                    + "\(process.terminationStatus): \(said)")
        }
        return String(decoding: printed, as: UTF8.self).trimmingCharacters(in: .newlines)
    }
}
