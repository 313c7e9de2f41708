import FoundationEssentials
import Glibc

/// The documents of several files as one body, so that they are applied together.
struct Documents {
    private(set) var bytes: [UInt8] = []
    private(set) var contentType = "application/yaml"

    /// Reads files, folders with what is under them, and standard input for `-`.
    init(paths: [String]) throws(CommandFailure) {
        var sources: [[UInt8]] = []
        for path in paths {
            if path == "-" {
                sources.append(try StandardInput.all())
            } else {
                for file in try Self.files(path) {
                    sources.append(try Self.read(file))
                }
            }
        }
        self.init(sources)
        guard !bytes.isEmpty else {
            throw CommandFailure(
                message: "there is no document in \(paths.joined(separator: ", "))")
        }
    }

    /// Joins sources as the documents of one YAML stream; JSON is YAML too.
    init(_ sources: [[UInt8]]) {
        let sources = sources.filter(Self.hasContent)
        if sources.count == 1, Self.isJSON(sources[0]) {
            contentType = "application/json"
            bytes = sources[0]
            return
        }
        for source in sources {
            let text = source.starts(with: Self.byteOrderMark) ? source.dropFirst(3) : source[...]
            if !bytes.isEmpty {
                if bytes.last != UInt8(ascii: "\n") {
                    bytes.append(UInt8(ascii: "\n"))
                }
                if !text.starts(with: "---".utf8) {
                    bytes += "---\n".utf8
                }
            }
            bytes += text
        }
    }

    private static let byteOrderMark: [UInt8] = [0xef, 0xbb, 0xbf]

    private static func isJSON(_ source: [UInt8]) -> Bool {
        let first = source.first { ![0x20, 0x09, 0x0a, 0x0d].contains($0) }
        return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    }

    /// Whether there is more than blank lines, comments and document markers.
    private static func hasContent(_ source: [UInt8]) -> Bool {
        source.split(separator: UInt8(ascii: "\n")).contains { line in
            let words = line.split { [0x20, 0x09, 0x0d].contains($0) }
            guard let first = words.first else { return false }
            let isMarker = words.count == 1 && first.elementsEqual("---".utf8)
            return !isMarker && first.first != UInt8(ascii: "#")
        }
    }

    private static func files(_ path: String) throws(CommandFailure) -> [String] {
        var isFolder = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw CommandFailure(message: "there is no file '\(path)'")
        }
        guard isFolder else { return [path] }
        let under: [String]
        do {
            under = try FileManager.default.subpathsOfDirectory(atPath: path)
        } catch {
            throw CommandFailure(message: "could not read the folder '\(path)': \(error)")
        }
        let files = under.filter { name in
            let isHidden = name.split(separator: "/").contains { $0.hasPrefix(".") }
            return !isHidden && [".yaml", ".yml", ".json"].contains { name.hasSuffix($0) }
        }
        guard !files.isEmpty else {
            throw CommandFailure(message: "there is no .yaml, .yml or .json file in '\(path)'")
        }
        return files.sorted().map { path + (path.hasSuffix("/") ? "" : "/") + $0 }
    }

    private static func read(_ file: String) throws(CommandFailure) -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw CommandFailure(
                message: "could not read '\(file)': \(String(cString: strerror(errno)))")
        }
        return Array(data)
    }
}
