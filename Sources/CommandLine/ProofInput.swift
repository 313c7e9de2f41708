import Glibc
import Proof

/// Keys, checkpoints and proofs as commands are given them.
enum ProofInput {
    /// A public key, or a file that holds one.
    static func key(_ text: String) throws(CommandFailure) -> VerifierKey {
        let isFile = access(text, F_OK) == 0
        let contents = isFile ? String(decoding: try file(text), as: UTF8.self) : text
        do { return try VerifierKey(contents) } catch {
            throw CommandFailure(
                message: "'\(Display.oneLine(text))' gives no public key",
                details: [
                    "\(error)",
                    isFile ? "It is read from the file of that name." : "There is no such file.",
                ])
        }
    }

    /// A checkpoint, from a file with its note or with a proof that has it.
    static func checkpoint(_ path: String) throws(CommandFailure) -> Checkpoint {
        let contents = try file(path)
        do {
            return ProofFile.isBegun(by: contents)
                ? try ProofFile(contents).checkpoint : try Checkpoint(contents)
        } catch {
            throw CommandFailure(message: "\(path) can't be used", details: ["\(error)"])
        }
    }

    /// The whole of a file, or of standard input for `-`.
    static func file(_ path: String) throws(CommandFailure) -> [UInt8] {
        let input = try InputFile(path: path)
        var contents: [UInt8] = []
        while let piece = try input.next() { contents += piece }
        return contents
    }

    /// Writes a file, or standard output where there is no name for one.
    static func write(_ contents: [UInt8], to path: String?) throws(CommandFailure) {
        guard let path else { return Terminal.print(body: contents) }
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        defer { if file >= 0 { close(file) } }
        guard file >= 0, Glibc.write(file, contents, contents.count) == contents.count else {
            throw CommandFailure(
                message: "could not write '\(path)': \(String(cString: strerror(errno)))")
        }
    }
}
