package fastmar.front;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

/** The accepted keys of one API, each compared in constant time. */
final class Keys {
    private static final String BEARER = "Bearer ";
    private static final String BASIC = "Basic ";
    private final List<byte[]> accepted = new ArrayList<>();

    Keys(List<String> accepted) {
        accepted.forEach(key -> this.accepted.add(key.getBytes(StandardCharsets.UTF_8)));
    }

    /** Whether an Authorization header, which may be null, has one of the keys. */
    boolean admit(String header) {
        byte[] given = parse(header);
        if (given == null) {
            return false;
        }
        boolean found = false;
        for (byte[] key : accepted) { // all of them, so that the time does not tell which one was sent
            found |= MessageDigest.isEqual(given, key);
        }
        return found;
    }

    /** The key in a header: the Bearer token, or the password of Basic, which browsers send. */
    private static byte[] parse(String header) {
        if (header == null) {
            return null;
        }
        if (header.regionMatches(true, 0, BEARER, 0, BEARER.length())) {
            return header.substring(BEARER.length()).strip().getBytes(StandardCharsets.UTF_8);
        }
        if (!header.regionMatches(true, 0, BASIC, 0, BASIC.length())) {
            return null;
        }
        try {
            byte[] decoded = Base64.getDecoder().decode(header.substring(BASIC.length()).strip());
            String pair = new String(decoded, StandardCharsets.UTF_8);
            return pair.substring(pair.indexOf(':') + 1).getBytes(StandardCharsets.UTF_8);
        } catch (IllegalArgumentException notBase64) {
            return null;
        }
    }
}
