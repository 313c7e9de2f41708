import CZlib

/// The bytes as one gzip member (RFC 1952).
///
/// - Parameter level: 1 is quickest, 9 smallest.
package func gzipped(_ bytes: [UInt8], level: Int = 5) -> [UInt8] {
    precondition((1...9).contains(level))
    var stream = z_stream()
    // These fail for want of memory alone, as an array would.
    precondition(gzip_deflate_init(&stream, Int32(level)) == Z_OK)
    defer { deflateEnd(&stream) }
    let bound = Int(deflateBound(&stream, UInt(bytes.count)))
    return [UInt8](unsafeUninitializedCapacity: bound) { output, count in
        bytes.withUnsafeBufferPointer { input in
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(input.count)
            stream.next_out = output.baseAddress
            stream.avail_out = UInt32(output.count)
            precondition(deflate(&stream, Z_FINISH) == Z_STREAM_END)
        }
        count = bound - Int(stream.avail_out)
    }
}

/// Why bytes can't be decompressed.
package enum GzipError: Error, Sendable, Equatable {
    /// They would be more than the caller takes.
    case tooLarge
    /// They are not one whole gzip member, or their checksum is wrong.
    case broken
}

/// What ``gzipped(_:level:)`` was given.
///
/// - Parameter bytesMax: The most bytes that may come out, so that a small text can't fill the
///   memory.
package func gunzipped(_ bytes: [UInt8], bytesMax: Int) throws(GzipError) -> [UInt8] {
    var stream = z_stream()
    precondition(gzip_inflate_init(&stream) == Z_OK)
    defer { inflateEnd(&stream) }
    let result: Result<[UInt8], GzipError> = bytes.withUnsafeBufferPointer { input in
        stream.next_in = input.baseAddress
        stream.avail_in = UInt32(input.count)
        return inflated(&stream, bytesMax: bytesMax)
    }
    return try result.get()
}

/// Reads the stream to its end, piece by piece.
private func inflated(
    _ stream: inout z_stream, bytesMax: Int
) -> Result<[UInt8], GzipError> {
    var output: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
        let (status, count) = piece.withUnsafeMutableBufferPointer { buffer in
            stream.next_out = buffer.baseAddress
            stream.avail_out = UInt32(buffer.count)
            return (inflate(&stream, Z_NO_FLUSH), buffer.count - Int(stream.avail_out))
        }
        guard output.count + count <= bytesMax else { return .failure(.tooLarge) }
        output += piece[..<count]
        switch status {
        case Z_OK: continue
        case Z_STREAM_END where stream.avail_in == 0: return .success(output)
        default: return .failure(.broken)
        }
    }
}
