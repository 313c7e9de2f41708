import Curl
import Domain
import EventLog
import Gzip
import JSON
import Proof

/// Why the source did not answer as it should; to be tried again.
package struct SourceError: Error, Sendable, CustomStringConvertible {
    package let description: String
    /// The status of its answer, if it gave one.
    var status: Int?
}

/// The ledger that is followed, asked over HTTP by one thread.
final class Source {
    /// A page of lines, and where the source's log ended when it was sent.
    struct Page {
        var lines: [UInt8]
        var position: Int64
    }

    /// A checkpoint whose signature was not looked at, and where the source's log ends.
    struct Note {
        var checkpoint: Checkpoint
        var position: Int64?
    }

    private let address: SourceAddress
    private let transfer = Transfer()
    private static let timeoutMilliseconds = 30_000

    init(_ address: SourceAddress) { self.address = address }

    /// The lines after a position; waits for the first of them.
    func lines(after position: Int64, waitSeconds: Int) throws(SourceError) -> Page {
        let response = try get(
            "/v1/events?after=\(position)&limit=\(Limits.linePageLengthMax)&wait=\(waitSeconds)",
            accept: "application/x-ndjson", patience: waitSeconds * 1_000)
        guard response.head.header("Content-Type")?.hasPrefix("application/x-ndjson") == true,
            let head = response.head.header("X-Ledger-Position").flatMap({ Int64($0) })
        else { throw SourceError(description: "\(address.url) does not answer as a ledger does") }
        var lines = response.body
        if response.head.header("Content-Encoding") == "gzip" {
            do throws(GzipError) {
                lines = try gunzipped(lines, bytesMax: Self.pageBytesMax)
            } catch { throw SourceError(description: "a page can't be decompressed: \(error)") }
        }
        guard lines.isEmpty || lines.last == UInt8(ascii: "\n") else {
            throw SourceError(description: "a page ends in the middle of a line")
        }
        return Page(lines: lines, position: head)
    }

    /// A page has its last line whole, however long that is.
    private static let pageBytesMax = Limits.linePageBytesMax + (64 << 20)

    func checkpoint() throws(SourceError) -> Note {
        let response = try get("/v1/log/checkpoint", accept: "text/plain")
        do throws(NoteError) {
            return Note(
                checkpoint: try Checkpoint(response.body),
                position: response.head.header("X-Ledger-Position").flatMap { Int64($0) })
        } catch { throw SourceError(description: "\(address.url): \(error)") }
    }

    func key() throws(SourceError) -> VerifierKey {
        let response = try get("/v1/log/key", accept: "text/plain")
        do throws(NoteError) {
            return try VerifierKey(String(decoding: response.body, as: UTF8.self))
        } catch { throw SourceError(description: "\(address.url): \(error)") }
    }

    /// Hashes that should prove that the tree of one size begins with that of another.
    func consistency(from: Int64, to: Int64) throws(SourceError) -> [Digest] {
        let response = try get(
            "/v1/log/proof/consistency?from=\(from)&to=\(to)", accept: "application/json")
        let hashes = (try? JSONValue.parse(response.body))?["hashes"]?.array?.map { hash in
            hash.string.flatMap { Digest(text: $0) }
        }
        guard let hashes, hashes.allSatisfy({ $0 != nil }) else {
            throw SourceError(description: "\(address.url) sent no proof")
        }
        return hashes.compactMap(\.self)
    }

    /// The epoch under which it is led.
    func epoch() throws(SourceError) -> Int64 {
        let response = try get("/v1/log", accept: "application/json")
        guard let epoch = (try? JSONValue.parse(response.body))?["epoch"]?.integer else {
            throw SourceError(description: "\(address.url) does not say its epoch")
        }
        return epoch
    }

    private func get(
        _ path: String, accept: String, patience: Int = 0
    ) throws(SourceError) -> Response {
        var headers = [("Accept", accept), ("User-Agent", "ledger-follower")]
        if let key = address.key { headers.append(("Authorization", "Bearer \(key)")) }
        // On one machine compressing costs more than it spares.
        if !address.isLoopback { headers.append(("Accept-Encoding", "gzip")) }
        let request = Request(
            url: address.url + path, headers: headers,
            timeoutMilliseconds: Self.timeoutMilliseconds + patience)
        let response: Response
        do throws(CurlError) {
            response = try transfer.perform(request, bodyBytesMax: Self.pageBytesMax)
        } catch { throw SourceError(description: error.description) }
        guard response.status == 200 else { throw refusal(response, path) }
        return response
    }

    private func refusal(_ response: Response, _ path: String) -> SourceError {
        let problem = try? JSONValue.parse(response.body)
        let texts = [problem?["title"]?.string, problem?["detail"]?.string].compactMap(\.self)
        let said = texts.isEmpty ? "" : ": " + texts.joined(separator: ": ")
        let hint =
            response.status == 401 || response.status == 403
            ? " Give a key of the source with role reader by --key or LEDGER_KEY." : ""
        return SourceError(
            description: "\(address.url)\(path.prefix { $0 != "?" }) answered \(response.status)"
                + said + hint, status: response.status)
    }
}

/// Where the source is, and who asks there.
package struct SourceAddress: Sendable, Equatable {
    /// `http://HOST:PORT`, without a slash at its end.
    package let url: String
    package let key: String?

    package init(url: String, key: String?) {
        var url = url
        while url.hasSuffix("/") { url.removeLast() }
        self.url = url
        self.key = key
    }

    var isLoopback: Bool {
        guard let host = url.split(separator: "/").dropFirst().first else { return false }
        return host.hasPrefix("127.") || host.hasPrefix("localhost") || host.hasPrefix("[::1]")
    }
}
