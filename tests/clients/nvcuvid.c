/* SPDX-License-Identifier: MIT */
/*
 * In place of the library of the GPU's video decoder, which GStreamer wants to be there before it
 * shows any of its CUDA elements: this GPU has no decoder.
 */
#define ABSENT(name)                                                                               \
	int name(void)                                                                             \
	{                                                                                          \
		return 801; /* not supported */                                                    \
	}

ABSENT(cuvidCreateDecoder)
ABSENT(cuvidCreateVideoParser)
ABSENT(cuvidCtxLock)
ABSENT(cuvidCtxLockCreate)
ABSENT(cuvidCtxLockDestroy)
ABSENT(cuvidCtxUnlock)
ABSENT(cuvidDecodePicture)
ABSENT(cuvidDestroyDecoder)
ABSENT(cuvidDestroyVideoParser)
ABSENT(cuvidGetDecoderCaps)
ABSENT(cuvidMapVideoFrame64)
ABSENT(cuvidParseVideoData)
ABSENT(cuvidUnmapVideoFrame64)
