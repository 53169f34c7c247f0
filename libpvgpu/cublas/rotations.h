/* SPDX-License-Identifier: MIT */
/* The numbers of rotations, as BLAS defines them: what cuBLAS computes on the host when its numbers
 * are there. */
#ifndef PVGPU_CUBLAS_ROTATIONS_H
#define PVGPU_CUBLAS_ROTATIONS_H

#include <complex.h>
#include <math.h>

/* A rotation that turns (a, b) to (r, 0): a becomes r, b what the rotation can be made again from.
 */
#define ROTATION(name, T)                                                                          \
	static inline void name(T *a, T *b, T *c, T *s)                                            \
	{                                                                                          \
		const T size = (T)(fabs((double)*a) + fabs((double)*b));                           \
		const bool first = fabs((double)*a) > fabs((double)*b);                            \
		T r, z = 1;                                                                        \
                                                                                                   \
		if (size == 0) {                                                                   \
			*c = 1;                                                                    \
			*s = *a = *b = 0;                                                          \
			return;                                                                    \
		}                                                                                  \
		r = size *                                                                         \
		    (T)sqrt((double)((*a / size) * (*a / size) + (*b / size) * (*b / size)));      \
		r = (first ? *a : *b) < 0 ? -r : r;                                                \
		*c = *a / r;                                                                       \
		*s = *b / r;                                                                       \
		if (first)                                                                         \
			z = *s;                                                                    \
		else if (*c != 0)                                                                  \
			z = 1 / *c;                                                                \
		*a = r;                                                                            \
		*b = z;                                                                            \
	}

#define ROTATION_COMPLEX(name, T)                                                                  \
	static inline void name(T complex *a, const T complex *b, T *c, T complex *s)              \
	{                                                                                          \
		const T size_a = (T)cabs((double complex) * a);                                    \
		const T size = size_a + (T)cabs((double complex) * b);                             \
		T complex alpha;                                                                   \
		T x, y, norm;                                                                      \
                                                                                                   \
		if (size_a == 0) {                                                                 \
			*c = 0;                                                                    \
			*s = 1;                                                                    \
			*a = *b;                                                                   \
			return;                                                                    \
		}                                                                                  \
		x = size_a / size;                                                                 \
		y = (T)cabs((double complex) * b) / size;                                          \
		norm = size * (T)sqrt((double)(x * x + y * y));                                    \
		alpha = *a / size_a;                                                               \
		*c = size_a / norm;                                                                \
		*s = alpha * (T complex)conj((double complex) * b) / norm;                         \
		*a = alpha * norm;                                                                 \
	}

/* A modified rotation; param[0] says which of h11, h21, h12, h22 (param[1] to [4]) are not as the
 * form has them: -1 all, 0 the diagonal is 1, 1 the other one is -1 and 1, -2 nothing is turned. */
#define ROTATION_MODIFIED(name, T)                                                                 \
	static inline void name##_scaled(T *d, T *x, T *one, T *other, bool to_x)                  \
	{                                                                                          \
		const T gam = 4096;                                                                \
                                                                                                   \
		while (*d != 0 && (fabs((double)*d) <= 1 / (double)(gam * gam) ||                  \
				   fabs((double)*d) >= (double)(gam * gam))) {                     \
			const bool small = fabs((double)*d) <= 1 / (double)(gam * gam);            \
			const T by = small ? gam : 1 / gam;                                        \
                                                                                                   \
			*d *= by * by;                                                             \
			*x = to_x ? *x / by : *x;                                                  \
			*one /= by;                                                                \
			*other /= by;                                                              \
		}                                                                                  \
	}                                                                                          \
	static inline bool name##_form(T *d1, T *d2, T *x1, T y1, T *flag, T h[4])                 \
	{                                                                                          \
		const T p2 = *d2 * y1, p1 = *d1 * *x1, q2 = p2 * y1, q1 = p1 * *x1;                \
		T u, was;                                                                          \
                                                                                                   \
		if (fabs((double)q1) > fabs((double)q2)) {                                         \
			h[1] = -y1 / *x1;                                                          \
			h[2] = p2 / p1;                                                            \
			u = 1 - h[2] * h[1];                                                       \
			*flag = 0;                                                                 \
			if (u <= 0)                                                                \
				return false;                                                      \
			*d1 /= u;                                                                  \
			*d2 /= u;                                                                  \
			*x1 *= u;                                                                  \
			return true;                                                               \
		}                                                                                  \
		if (q2 < 0)                                                                        \
			return false;                                                              \
		*flag = 1;                                                                         \
		h[0] = p1 / p2;                                                                    \
		h[3] = *x1 / y1;                                                                   \
		u = 1 + h[0] * h[3];                                                               \
		was = *d2 / u;                                                                     \
		*d2 = *d1 / u;                                                                     \
		*d1 = was;                                                                         \
		*x1 = y1 * u;                                                                      \
		return true;                                                                       \
	}                                                                                          \
	static inline void name(T *d1, T *d2, T *x1, T y1, T *param)                               \
	{                                                                                          \
		T h[4] = {0}, flag = -1; /* h11, h21, h12, h22 */                                  \
		bool all;                                                                          \
                                                                                                   \
		if (*d1 >= 0 && *d2 * y1 == 0) {                                                   \
			param[0] = -2;                                                             \
			return;                                                                    \
		}                                                                                  \
		if (*d1 < 0 || !name##_form(d1, d2, x1, y1, &flag, h)) {                           \
			*d1 = *d2 = *x1 = 0;                                                       \
			for (int i = 0; i < 5; i++)                                                \
				param[i] = i ? 0 : -1;                                             \
			return;                                                                    \
		}                                                                                  \
		all = (*d1 != 0 && (fabs((double)*d1) <= 1 / 16777216.0 ||                         \
				    fabs((double)*d1) >= 16777216.0)) ||                           \
		      (*d2 != 0 &&                                                                 \
		       (fabs((double)*d2) <= 1 / 16777216.0 || fabs((double)*d2) >= 16777216.0));  \
		if (all) {                                                                         \
			if (flag == 0)                                                             \
				h[0] = h[3] = 1;                                                   \
			else                                                                       \
				h[1] = -1, h[2] = 1;                                               \
			flag = -1;                                                                 \
			name##_scaled(d1, x1, &h[0], &h[2], true);                                 \
			name##_scaled(d2, x1, &h[1], &h[3], false);                                \
		}                                                                                  \
		param[0] = flag;                                                                   \
		if (flag <= 0)                                                                     \
			param[2] = h[1], param[3] = h[2];                                          \
		if (flag)                                                                          \
			param[1] = h[0], param[4] = h[3];                                          \
	}

ROTATION(rotation_s, float)
ROTATION(rotation_d, double)
ROTATION_COMPLEX(rotation_c, float)
ROTATION_COMPLEX(rotation_z, double)
ROTATION_MODIFIED(rotation_modified_s, float)
ROTATION_MODIFIED(rotation_modified_d, double)

#endif
